"""Pages for teachers, committees and boards."""
