"""Who gets a place on a list: scores in, rows out."""
