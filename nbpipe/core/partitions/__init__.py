"""Partitions: sets of keys that are computed and never listed, mappings between them, and the state of each.

Read in this order: `zones` (local time), `grains` and `crons` (time as numbered windows), `registries` (keys that
have no arithmetic), `sets` with `texts` and `spec_syntax` (dimensions and how they are written), `subsets` and `ranges`
(some partitions of a set), `mapping_syntax`, `fitting`, `mappings` and `links` (which partitions feed which), `book`
(the sets and links of a project), `chunks` (what is kept), `layouts` (for which sets), `recipes` and `inputs` (how and
from what it was made), `records` (what is put into the state store), `state` with `comparing`, `carrying` and `counts`
(what follows), `explaining` (why, in words), `assessing` (next to assets that have no partitions), `listing` (keys,
for Python).
"""
