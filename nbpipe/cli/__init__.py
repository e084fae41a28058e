"""The command line: parses, calls a command, and shows what it returns."""
