"""Ask sensors: execute the cell of one, in a process of its own, or in a person's kernel as a trial.

On Linux a `trunk` process serves a daemon: for each notebook it forks a `branch`, which executes the setup cells once
and is forked for each evaluation. Elsewhere, and for a trial from a terminal, an `alone` process does it all once.
`asking` is what they have in common.
"""
