"""Raw text in: exact uniform sampling, language and script, register, statistics, splits."""
