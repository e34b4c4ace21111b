"""Languages by name, for the sentences that people read."""

NAMES = {"hi": "Hindi", "kn": "Kannada", "en": "English"}


def language(code: str) -> str:
    """Return a language's English name; the code itself where it has none here."""
    return NAMES.get(code, code)
