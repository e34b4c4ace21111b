"""From pairs to rows of ids and targets: rendered, checked, split, ordered."""
