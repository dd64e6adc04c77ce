"""The log played once more: without a child, or to prove that the same comes out."""
