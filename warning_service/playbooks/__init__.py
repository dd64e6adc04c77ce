"""How one board works, as a file: items, rules, list size, meetings, deadlines."""
