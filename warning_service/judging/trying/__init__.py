"""A changed playbook on a board's own past."""
