"""Kept no longer than needed: what goes by the clocks, a child erased, what backups bring back."""
