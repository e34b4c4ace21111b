"""The cases of `field.py`, one file a kind of input: each offers `CASES`."""
