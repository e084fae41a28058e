"""Partitions: sets of keys that are computed and never listed, mappings between them, and the state of each.

Read in this order: `zones` (local time), `grains` and `crons` (time as numbered windows), `registries` (keys that
have no arithmetic), `sets` and `spec_syntax` (dimensions and their text), `subsets` and `ranges` (some partitions of
a set), `mappings` and `mapping_syntax` (which partitions feed which), `chunks` (what is kept), `state` (what follows).
"""
