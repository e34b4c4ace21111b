"""Text cut into what a reader counts: aksharas (the letters of Indic scripts) and words.

Scores over model tokens cannot be compared between tokenizers; over aksharas and words they can.
"""

import regex

# Unicode's cluster rule (UAX 29, GB9c) joins Devanagari conjuncts but leaves Kannada out:
# ಕ್ಷೇ comes as ಕ್ + ಷೇ. A cluster that ends in a virama takes the next letter in.
_VIRAMAS = ("\u094d", "\u0ccd")
_JOINER = "\u200d"
_CLUSTER = regex.compile(r"\X")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d]*(?:['’]\p{L}+)?")


def aksharas(text: str) -> list[str]:
    """Return the text's clusters in order, conjuncts whole; they join to the text again.

    >>> aksharas("ಕ್ಷೇತ್ರ")
    ['ಕ್ಷೇ', 'ತ್ರ']
    """
    clusters: list[str] = []
    for cluster in _CLUSTER.findall(text):
        if clusters and _open(clusters[-1]) and regex.match(r"\p{L}", cluster):
            clusters[-1] += cluster
        else:
            clusters.append(cluster)
    return clusters


def letters(text: str) -> list[str]:
    """Return the aksharas that hold a letter or a digit: no spaces, no punctuation."""
    return [each for each in aksharas(text) if regex.search(r"[\p{L}\p{N}]", each)]


def words(text: str) -> list[str]:
    r"""Return the words and numbers; vowel signs stay with their letters (`\w` drops them)."""
    return _WORD.findall(text)


def _open(cluster: str) -> bool:
    return cluster.removesuffix(_JOINER).endswith(_VIRAMAS)
