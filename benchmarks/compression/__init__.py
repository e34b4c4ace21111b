"""What the compression claims share: texts, references, llama.cpp as peer, scores."""
