"""Losses of an output head, streamed over the vocabulary."""
