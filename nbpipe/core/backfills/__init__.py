"""Backfills: many partitions of several assets, executed by many runs in the order of their mappings.

`records`: what the state store keeps of one; the rest decides which partitions it covers, which of them go into one
run, and which can start now.
"""
