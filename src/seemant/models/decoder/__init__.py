"""A small decoder of our own over flat, unpadded rows: Llama, Qwen2, Qwen3 and Gemma 3 text."""
