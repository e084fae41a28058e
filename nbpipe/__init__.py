"""Data pipelines whose assets are notebook cells."""

__version__ = "0.1.0"
