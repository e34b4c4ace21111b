"""Models: catalogue, loading, tokenizers, prompts, adapters, backends."""
