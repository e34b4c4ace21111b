"""The page's sections, one a file: from the nodes to markup, or None where there is no data."""
