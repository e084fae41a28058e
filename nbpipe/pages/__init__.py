"""What the answer to each command looks like, as lines and tables, for every face."""
