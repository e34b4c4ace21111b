"""The frontier of quality, latency, memory and bytes, and the recommendation drawn from it."""
