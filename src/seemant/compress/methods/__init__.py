"""Methods that choose a matrix's integers: one file each, one line each in `registry`."""
