"""The stage "convert": a Hugging Face folder as the GGUF file that compress reads."""
