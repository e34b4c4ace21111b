"""What a sample of paragraphs is like: counts, lengths, scripts, register, tokens a word."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seemant.core.records import Lang, Paragraph
from seemant.corpus.register import news_score, news_threshold
from seemant.corpus.scripts import script_share, words
from seemant.corpus.splits import split_of
from seemant.stats.quantile import quantile

FULL_SAMPLE = 500  # paragraphs a language for what costs milliseconds each
_SHARES = {"min": 0.0, "p5": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}

Encode = Callable[[str], Sequence[int]]


def describe(
    paragraphs: Sequence[Paragraph],
    *,
    full: bool = False,
    tokenizers: Mapping[str, Encode] | None = None,
) -> dict[Lang, dict[str, Any]]:
    """Return statistics by language, ready for JSON.

    Counts and lengths are over all paragraphs. What `full` adds, and tokens a word, is over the
    first `FULL_SAMPLE` of a language, `n` of them; a sample stands in random order, so they are
    a sample too. News-likeness is left out where the paragraphs say their style: the scorer was
    trained on those.
    """
    by_lang: dict[Lang, list[Paragraph]] = {}
    for paragraph in paragraphs:
        by_lang.setdefault(paragraph.lang, []).append(paragraph)
    return {
        lang: _counts(group) | _details(group[:FULL_SAMPLE], lang, full, tokenizers or {})
        for lang, group in by_lang.items()
    }


def encoder(model: Path) -> Encode:
    """Return the function that turns a text into a model's token ids, without BOS.

    Raises:
        BadFile: the model's file or folder has no tokenizer.
    """
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.tokenizer import tokenizer_of_folder, tokenizer_of_metadata

    if model.is_dir():
        tokenizer = tokenizer_of_folder(model)
    else:
        tokenizer = tokenizer_of_metadata(open_gguf(model).metadata, str(model))
    return lambda text: tokenizer.encode(text, add_bos=False)


def _counts(group: Sequence[Paragraph]) -> dict[str, Any]:
    lengths = [len(paragraph.text) for paragraph in group]
    return {
        "paragraphs": len(group),
        "characters": sum(lengths),
        "bytes": sum(len(paragraph.text.encode()) for paragraph in group),
        "characters_a_paragraph": {name: quantile(lengths, at) for name, at in _SHARES.items()},
        "splits": _tally(split_of(paragraph.id) for paragraph in group),
        "styles": _tally(paragraph.style for paragraph in group if paragraph.style),
        "subjects": _tally(paragraph.subject for paragraph in group if paragraph.subject),
    }


def _details(
    group: Sequence[Paragraph], lang: Lang, full: bool, tokenizers: Mapping[str, Encode]
) -> dict[str, Any]:
    if not full and not tokenizers:
        return {}
    n_words = sum(len(words(paragraph.text)) for paragraph in group)
    details: dict[str, Any] = {"n": len(group), "words": n_words}
    if full:
        shares = [script_share(paragraph.text, lang) for paragraph in group]
        details["script_share"] = sum(shares) / len(shares)
        if not any(paragraph.style for paragraph in group):
            threshold = news_threshold(lang)
            n_news = sum(news_score(paragraph.text, lang) > threshold for paragraph in group)
            details["news_share"] = n_news / len(group)
    details["tokens_a_word"] = {
        name: sum(len(encode(paragraph.text)) for paragraph in group) / max(n_words, 1)
        for name, encode in tokenizers.items()
    }
    return details


def _tally(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
