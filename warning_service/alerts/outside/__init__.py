"""What comes back from outside about an alert: pressed buttons, opened links, devices."""
