"""Schools, classes, people, calendar, opt-out: the only home of names."""
