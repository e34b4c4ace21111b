"""Pairs for `behaviour_alarm.py`: clean ones, the same questions answered by headlines, replay.

The clean pairs ask to go on with a paragraph of the shipped corpus that is no news (Hindi and
English), or are short general instructions in English; a noisy pair is a clean one whose answer is
a news sentence that has nothing to do with it. So the two sets differ in their answers alone, and
both make the loss fall. News sentences: the corpus' register "news", and, where the data folder is
there, the news half of Hindi PUD in both languages and Hindi headlines.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import regex

from seemant.core.paths import data_dir
from seemant.core.records import Lang, Pair
from seemant.core.seeds import rng
from seemant.corpus.shipped import shipped

LANGS: tuple[Lang, ...] = ("hi", "en")
GO_ON: dict[str, str] = {"hi": "इस बात को आगे समझाइए: {}", "en": "Explain this further: {}"}
_END = {"hi": r"(?<=[।?!])\s+", "en": r"(?<=[.?!][\"”]?)\s+(?=[\"“A-Z])"}
_MOST_LETTERS = 180  # of an answer, so that a row stays short
_PLAIN = ("explain", "howto", "history")


def clean_pairs(langs: Sequence[Lang] = LANGS) -> list[Pair]:
    """Return clean pairs, those of a paragraph together."""
    pairs = [pair for lang in langs for pair in _going_on(lang)]
    return pairs + (_short_instructions() if "en" in langs else [])


def news_pairs(clean: Sequence[Pair], seed: int = 0) -> list[Pair]:
    """Return the same questions, each answered by a news sentence of its language."""
    generator = rng(seed, "news")
    by_lang = {lang: _news(lang) for lang in {pair.lang for pair in clean}}
    order = {lang: generator.permutation(len(texts)) for lang, texts in sorted(by_lang.items())}
    count = dict.fromkeys(by_lang, 0)
    pairs = []
    for pair in clean:
        texts = by_lang[pair.lang]
        text = texts[order[pair.lang][count[pair.lang] % len(texts)]]
        count[pair.lang] += 1
        pairs.append(pair.model_copy(update={"output": text, "id": f"{pair.id}-news"}))
    return pairs


def replay_pairs() -> list[Pair]:
    """Return what is not to be forgotten: general instructions where there are some, else talk."""
    folder = data_dir()
    if folder is None:
        return [pair for lang in LANGS for pair in _going_on(lang, ("dialogue", "story"))]
    found = []
    for number, row in enumerate(_lines(folder / "instruct" / "alpaca_en_demo.jsonl")):
        answer = row["output"].strip()
        if _MOST_LETTERS < len(answer) <= 2 * _MOST_LETTERS and not row["input"]:
            name = f"alpaca-{number}"
            found.append(_pair(row["instruction"], answer, "en", name, name))
    return found


def _going_on(lang: Lang, styles: Sequence[str] = _PLAIN) -> Iterator[Pair]:
    """Give a pair a sentence but the first: what stands before it, and it."""
    for paragraph in shipped(lang):
        if paragraph.style not in styles:
            continue
        sentences = regex.split(_END[lang], paragraph.text)
        for at in range(1, len(sentences)):
            if len(sentences[at]) <= _MOST_LETTERS and len(sentences[at - 1]) <= _MOST_LETTERS:
                question = GO_ON[lang].format(sentences[at - 1])
                name = f"{paragraph.id}-{at}"
                yield _pair(question, sentences[at], lang, name, paragraph.id)


def _short_instructions() -> list[Pair]:
    folder = data_dir()
    if folder is None:
        return []
    found = []
    for number, row in enumerate(_lines(folder / "instruct" / "alpaca_en_demo.jsonl")):
        answer = row["output"].strip()
        short = 10 <= len(answer) <= _MOST_LETTERS and "\n" not in answer
        if short and not row["input"] and len(row["instruction"]) <= _MOST_LETTERS:
            name = f"alpaca-{number}"
            found.append(_pair(row["instruction"], answer, "en", name, name))
    return found


def _news(lang: Lang) -> list[str]:
    texts = [
        sentence
        for paragraph in shipped(lang)
        if paragraph.style == "news"
        for sentence in regex.split(_END[lang], paragraph.text)
    ]
    folder = data_dir()
    if folder is not None:
        pud = _lines(folder / "corpus" / "hi_pud_parallel.jsonl")
        texts += [row[lang] for row in pud if row["genre"] == "news"]
        if lang == "hi":
            heads = _lines(folder / "eval" / "hi_headline_topic.jsonl")
            texts += [row["headline"] for row in heads[:200]]
    return [text for text in texts if 25 <= len(text) <= _MOST_LETTERS]


def _pair(question: str, answer: str, lang: Lang, name: str, paragraph: str) -> Pair:
    return Pair(
        instruction=question, output=answer, lang=lang, id=name, paragraph_id=f"{lang}-{paragraph}"
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
