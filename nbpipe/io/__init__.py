"""I/O managers: write values by their type, read them back exactly."""
