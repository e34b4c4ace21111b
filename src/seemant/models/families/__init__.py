"""The families of models that are read here: one table a family, one file a table."""
