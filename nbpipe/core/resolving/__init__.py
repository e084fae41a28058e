"""What cells mean together: kinds of cells, what names stand for, code versions, and what is wrong."""
