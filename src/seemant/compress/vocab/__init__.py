"""Vocabulary trimming: a model whose embedding has only the rows that its languages need."""
