"""What happened: event types, the append-only log, and the dispatcher that feeds its readers."""
