"""Alerts: raise, deliver, acknowledge, escalate."""
