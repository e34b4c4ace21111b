"""The command line: one thin command a stage, started without importing any of them."""
