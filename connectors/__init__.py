"""The outside world: records and extracts in, messages out."""
