"""Risk models: features, online learning, explanation, evaluation. Never sees a name."""
