"""Formats: how each family of values is kept in a file, exactly."""
