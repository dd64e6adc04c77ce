"""Channels that carry "there is something for you" out of the house, and nothing more."""
