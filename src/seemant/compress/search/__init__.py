"""Mixed precision: measured damage per group and format, and the best choice under a budget."""
