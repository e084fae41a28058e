"""What a person can ask for, one file per command: its options and a function that returns plain data.

The faces (`cli`, `kernel`, later `server`) parse with the command's own definition and render the data.
"""
