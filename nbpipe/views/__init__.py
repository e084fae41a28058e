"""What is shown, as plain data and as static pictures."""
