"""What a cell says by itself: its declaration, the names it takes and gives, and the hash of its code."""
