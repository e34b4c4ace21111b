"""Leaving noisy pairs out: those that failed a check, and answers that read like news.

Wrong or off-style answers teach a small student to imitate them; the loss falls all the same.
"""

from collections.abc import Sequence

from seemant.core.records import Pair
from seemant.corpus.register import news_score
from seemant.train.rows.check import SetAside


def without_noise(
    pairs: Sequence[Pair], *, checked_only: bool, max_news: float | None
) -> tuple[list[Pair], list[SetAside]]:
    """Return (pairs to go on with, pairs left out with their reason), both in order.

    checked_only: leave out pairs of which a recorded check is false; a pair without any record
    stays, as nothing is known against it. max_news: largest news score of an answer
    (`corpus.register`: mean log-odds of news against other styles, 0 is even).
    """
    kept: list[Pair] = []
    aside: list[SetAside] = []
    for pair in pairs:
        failed = [name for name, held in pair.checks.items() if not held]
        if checked_only and failed:
            aside.append(_aside(pair, "failed_check", ", ".join(failed)))
            continue
        if max_news is not None:
            score = news_score(pair.output, pair.lang)
            if score > max_news:
                aside.append(_aside(pair, "news", f"{score:.2f} over {max_news:g}"))
                continue
        kept.append(pair)
    return kept, aside


def _aside(pair: Pair, reason: str, detail: str) -> SetAside:
    given = {"key": pair.key, "lang": pair.lang, "reason": reason, "detail": detail}
    return SetAside.model_validate(given)
