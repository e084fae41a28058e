"""What goes on for longer than one run: backfills, which start runs as their partitions become ready."""
