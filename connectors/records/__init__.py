"""Records as schools and cities hand them over: CSV files, read, checked row by row, taken in."""
