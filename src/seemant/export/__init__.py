"""Export: a folder to take away, its model copied bit for bit."""
