"""How right the lists were, for whom they err, and whether it helped."""
