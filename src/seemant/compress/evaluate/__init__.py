"""How far a decoder in memory lies from its reference: no files, no stage, any tensor swapped."""
