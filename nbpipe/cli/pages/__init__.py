"""Pages: what each command's data looks like to a person."""
