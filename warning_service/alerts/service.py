"""What people do with alerts: see those of their duty, acknowledge, handle."""
