"""Who may come in, and stays known: passwords, factors, cards, tokens, sessions, accounts."""
