"""Kernel providers: where the processes come from that execute cells."""
