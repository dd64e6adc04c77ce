"""Scores and levels from rules and models; warning lists with their frozen evidence."""
