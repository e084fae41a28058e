"""Values and functions without I/O: what assets are, how they depend, what is stale, what to run."""
