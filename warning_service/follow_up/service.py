"""What people record: reviews of list entries and follow-ups."""
