"""What a run will take, what fits a limit, and the limit itself."""
