"""What a run will do: its plan, its steps, and which of them may start."""
