"""Files a school or city hands over, read row by row."""
