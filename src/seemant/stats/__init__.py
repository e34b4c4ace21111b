"""Statistics, each written once: clusters, ratios, bootstrap, Student's t, repeated looks."""
