"""The data items: whose they are, on what legal basis, who may see them, how fresh they must be."""
