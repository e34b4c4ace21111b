"""Pruning: which weights go (scores), and in which pattern (masks)."""
