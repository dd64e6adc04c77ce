"""The shipped playbooks, each on a generated town of its city's size."""
