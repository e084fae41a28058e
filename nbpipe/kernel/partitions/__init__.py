"""Asset cells with partitions: what their bodies see, read and give, one partition or many at a time.

Loaded when a cell with partitions, or one that reads some, is met. Read `given` (what a body sees), `reading` (its
inputs), `batches` (what it gives), `work` (the loop), then `current` and `live` (a person's notebook).
"""
