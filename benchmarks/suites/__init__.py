"""The parts of `peer_suites.py`: what peers ship to test themselves with, and our answers to it."""
