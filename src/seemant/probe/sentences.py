"""Where sentences end: danda, full stop, question mark, new line; not after "Dr." or "3.5"."""

import regex

# Abbreviations that carry a full stop inside a sentence.
_SHORT = r"(?:\b(?:Dr|Mr|Mrs|Ms|Mt|St|Smt|Shri|No|vs|etc|e\.g|i\.e)|डॉ|श्री|ಡಾ|ಶ್ರೀ|\b\p{L})"
_END = regex.compile(rf"(?<!{_SHORT})\.(?=\s|$)|[!?।॥\n]")


def sentences(text: str) -> list[str]:
    """Return the text's sentences with their end marks; they join to the text again.

    >>> sentences("Mt. Everest. It is 8.8 km high")
    ['Mt. Everest.', ' It is 8.8 km high']
    """
    parts: list[str] = []
    start = 0
    for end in _END.finditer(text):
        parts.append(text[start : end.end()])
        start = end.end()
    if start < len(text):
        parts.append(text[start:])
    return parts


def first_sentence(text: str) -> str:
    """Return the first sentence that holds a letter or a digit, with all that precedes it."""
    seen = ""
    for sentence in sentences(text):
        seen += sentence
        if regex.search(r"[\p{L}\p{N}]", sentence):
            return seen
    return seen
