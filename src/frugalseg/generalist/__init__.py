"""Frozen promptable models behind one contract; prompts as data; weights; the embedding cache."""
