"""seemant: the smallest language model for a device, a language and a quality, with evidence."""

__version__ = "0.1.0"
