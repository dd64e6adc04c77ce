"""Historic data played through the same judge, and its report."""
