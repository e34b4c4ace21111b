"""An OpenAI-compatible server for one model, on loopback."""
