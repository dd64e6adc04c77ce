"""A playbook file's errors, all at once, each with its place."""
