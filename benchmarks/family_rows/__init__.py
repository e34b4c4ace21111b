"""The rows of `families.py`: random folders of each family, and what is measured on each."""
