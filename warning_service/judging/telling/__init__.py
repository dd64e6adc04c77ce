"""Why a child is on a list, in words: facts, contributions, changes, what would take it off."""
