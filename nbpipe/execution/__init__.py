"""Runs of saved notebooks: kernels, records, steps, the runner, and what is left when one of them dies."""
