"""News-likeness of a text: a multinomial naive Bayes over character n-grams.

    score(x) = 1/n  sum_g  log p(g | news) - log p(g | other)        over the n n-grams g of x
    p(g | c) = (count_c(g) + a q(g)) / (N_c + a)

q is the n-gram's share in both styles together: an informative Dirichlet prior (Monroe, Colaresi
and Quinn 2008, "Fightin' Words", eq. 13-16), so that a rare n-gram says little and the sizes of
the classes say nothing. An n-gram never seen in training is no evidence: it adds 0 to the sum.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from seemant.core.records import Lang
from seemant.corpus.shipped import shipped
from seemant.stats.quantile import quantile

ORDERS = (3, 4, 5)
PRIOR = 1000.0  # a: pseudo-counts in all; a paragraph of 250 characters has about 750 n-grams
N_FOLDS = 10
NEWS = "news"
SHARE_BELOW = 0.95


@dataclass(frozen=True, slots=True)
class Scored:
    """A shipped paragraph (or a piece of one) scored by a model that never saw the paragraph."""

    paragraph_id: str
    news: bool
    score: float


def news_score(text: str, lang: Lang) -> float:
    """Return the mean log-odds (nats per n-gram) of news against other styles.

    Above 0 is more like news than like the other styles; compare with `news_threshold`. A text
    shorter than three characters has no n-gram and scores 0.0.
    """
    return _mean(_model(lang), text)


def news_threshold(lang: Lang, n_characters: int | None = None) -> float:
    """Return the score that 95 % of texts in other styles stay under.

    Each text is scored by a model trained without it. `n_characters` asks for texts cut to about
    that length: short answers scatter more, so a paragraph's threshold calls too many of them
    news. Lengths are rounded up to 25, 50, 100 or 200; None and anything longer mean whole
    paragraphs.
    """
    length = next((n for n in (25, 50, 100, 200) if n_characters and n_characters <= n), None)
    return _threshold(lang, length)


def cross_validated(
    lang: Lang, n_characters: int | None = None, *, by_subject: bool = False
) -> list[Scored]:
    """Return scores of the shipped paragraphs by models that never saw them.

    Paragraphs are held out in ten folds by a hash of their id; `by_subject` holds out a whole
    subject at a time, the harder question. `n_characters` scores their consecutive pieces of that
    length instead of the whole.
    """
    paragraphs = shipped(lang)
    all_news, all_other = _counts(lang)
    folds: dict[str, list[int]] = {}
    for index, paragraph in enumerate(paragraphs):
        key = (paragraph.subject or "") if by_subject else str(_fold(paragraph.id))
        folds.setdefault(key, []).append(index)
    scored: list[Scored] = []
    for members in folds.values():
        news, other = Counter(all_news), Counter(all_other)
        for index in members:
            counts = Counter(_ngrams(paragraphs[index].text))
            (news if paragraphs[index].style == NEWS else other).subtract(counts)
        odds = _LazyOdds(news, other)
        for index in members:
            paragraph = paragraphs[index]
            for piece in _pieces(paragraph.text, n_characters):
                scored.append(Scored(paragraph.id, paragraph.style == NEWS, _mean(odds, piece)))
    return scored


def _pieces(text: str, length: int | None) -> list[str]:
    if length is None or len(text) <= length:
        return [text]
    return [text[at : at + length] for at in range(0, len(text) - length + 1, length)]


def _ngrams(text: str) -> Iterator[str]:
    folded = unicodedata.normalize("NFC", text).casefold()
    digits = "".join("0" if c.isdigit() else c for c in folded)  # that there is a number, not which
    padded = f" {' '.join(digits.split())} "
    for order in ORDERS:
        for at in range(len(padded) - order + 1):
            yield padded[at : at + order]


class _LazyOdds(dict[str, float]):
    """Log-odds by n-gram, each computed when it is first asked for."""

    def __init__(self, news: Counter[str], other: Counter[str]) -> None:
        super().__init__()
        self._news, self._other = news, other
        self._n_news, self._n_other = news.total(), other.total()

    def __missing__(self, gram: str) -> float:
        in_news, in_other = self._news[gram], self._other[gram]
        prior = PRIOR * (in_news + in_other) / (self._n_news + self._n_other)
        odds = 0.0
        if prior:
            p_news = (in_news + prior) / (self._n_news + PRIOR)
            p_other = (in_other + prior) / (self._n_other + PRIOR)
            odds = math.log(p_news / p_other)
        self[gram] = odds
        return odds


def _mean(odds: _LazyOdds, text: str) -> float:
    values = [odds[gram] for gram in _ngrams(text)]
    return math.fsum(values) / len(values) if values else 0.0


def _fold(paragraph_id: str) -> int:
    return int(sha256(paragraph_id.encode()).hexdigest()[8:16], 16) % N_FOLDS


@cache
def _counts(lang: Lang) -> tuple[Counter[str], Counter[str]]:
    news: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for paragraph in shipped(lang):
        (news if paragraph.style == NEWS else other).update(_ngrams(paragraph.text))
    return news, other


@cache
def _model(lang: Lang) -> _LazyOdds:
    return _LazyOdds(*_counts(lang))


@cache
def _threshold(lang: Lang, n_characters: int | None) -> float:
    others = [s.score for s in cross_validated(lang, n_characters) if not s.news]
    return quantile(others, SHARE_BELOW)
