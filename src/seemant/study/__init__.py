"""A study: a graph of stages from one YAML file, planned, run, resumed and reported."""
