"""Latency, memory and size on this machine; the catalogue of other devices."""
