"""References: what a compressed model is compared with, and how a fair one is made."""
