"""The state store: what is current, what happened, and what runs."""
