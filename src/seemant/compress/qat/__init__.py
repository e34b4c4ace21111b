"""Quantisation-aware training: codes and scales learned on the very grid that the file stores."""
