"""Who looked at what: written, sealed, searched, watched and reviewed."""
