"""Training small decoders from nothing: vocabulary, windows, the shared loop, the model's file."""
