"""The sentences of a paragraph that are fit to be asked about."""

import regex

from seemant.corpus.rules import cut_at
from seemant.probe.sentences import sentences

# "PLACE:", "PLACE, 12 March:" before the first sentence of a news report.
_DATELINE = regex.compile(r"^[^\s:,।.]+(?: [^\s:,।.]+)?(?:, [^:।.]{1,16})?: +")
_SPEECH = ("?", '"', "“", "”")

_SHORTEST = 30  # characters: a dateline or a cry is no passage
_LONGEST = 170  # a base model of 270M loses the thread in longer ones


def passages(text: str) -> list[str]:
    """Return the sentences that a small teacher is asked about, the fittest first; never none.

    Fit are sentences of 30 to 170 characters that are no question and no speech; where there are
    none, the others that are long enough, shortened; else the whole text, shortened.
    """
    said = [_DATELINE.sub("", " ".join(each.split())) for each in sentences(text)]
    plain = [each for each in said if _SHORTEST <= len(each) <= _LONGEST and not _spoken(each)]
    rest = [cut_at(each, _LONGEST) for each in said if len(each) >= _SHORTEST]
    return plain or rest or [cut_at(" ".join(text.split()), _LONGEST)]


def _spoken(sentence: str) -> bool:
    return any(mark in sentence for mark in _SPEECH)
