"""The facts about one reply on which its diagnosis rests, all computed without a judge."""

from dataclasses import dataclass

import regex

from seemant.core.records import Lang, Probe
from seemant.corpus.register import news_score, news_threshold
from seemant.probe.aksharas import aksharas, letters, words
from seemant.probe.cues import news_cues, refuses
from seemant.probe.echo import chooses, echo_share, only_echoes, own_words
from seemant.probe.lexicon import lexicon
from seemant.probe.match import Match, match
from seemant.probe.normalise import normalise
from seemant.probe.sentences import first_sentence
from seemant.probe.text_scores import (
    compression_ratio,
    loops,
    repetition,
    script_followed,
)

MIN_AKSHARAS = 2  # fewer say nothing (evaluation notes, section 3)
SHORT_WORDS = 6  # [J] a bare answer: it asserts what it says, whether or not it repeats a word


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply, measured.

    category: the probe's. correct, reason, in_first_sentence: the matcher's.
    n_aksharas, n_words: letters and digits only. says_nothing: all its words are the question's,
        or what is left without the echo of the question is punctuation or a single akshara; a
        number says something, and so does one side of an "or" question.
    script_share: None for a reply without letters of its own (`text_scores.script_followed`).
    repetition: seq-rep-4. loop: a piece said three times in a row. echo: share of copied words.
    news_score: log-odds a n-gram, news against other styles; news_excess: that less the threshold
        under which 95 % of other texts of this length stay. news_cues: kinds of cue, 0 to 4.
    news: the whole reply reads as news; news_tail: what follows its first sentence does.
    on_topic: it keeps a content word of the question. asserts: it names a distractor or a number
        of its own, or is a bare answer. refusal: it says that it does not know.
    """

    category: str
    correct: bool | None
    reason: str
    in_first_sentence: bool
    n_aksharas: int
    n_words: int
    says_nothing: bool
    script_share: float | None
    repetition: float
    loop: bool
    echo: float
    compression: float
    news_score: float
    news_excess: float
    news_cues: int
    news: bool
    news_tail: bool
    on_topic: bool
    asserts: bool
    refusal: bool


def read(reply: str, probe: Probe) -> Reading:
    """Return the facts about a reply to a probe."""
    text, question = normalise(reply), normalise(probe.question)
    found = match(reply, probe)
    score = news_score(reply, probe.lang)
    tail = text[len(first_sentence(text)) :]
    refusal = refuses(text)
    return Reading(
        category=probe.category,
        correct=found.correct,
        reason=found.reason,
        in_first_sentence=found.in_first_sentence,
        n_aksharas=len(letters(reply)),
        n_words=len(words(reply)),
        says_nothing=_says_nothing(text, question),
        script_share=script_followed(reply, probe),
        repetition=repetition(reply),
        loop=loops(reply),
        echo=echo_share(text, question),
        compression=compression_ratio(reply),
        news_score=score,
        news_excess=score - news_threshold(probe.lang, max(1, len(reply))),
        news_cues=news_cues(text, probe.lang, question),
        news=reads_as_news(text, probe.lang, question, n_cues=2),
        news_tail=reads_as_news(tail, probe.lang, question, n_cues=1),
        on_topic=keeps_content_word(text, question),
        asserts=not refusal and _asserts(text, question, found),
        refusal=refusal,
    )


def reads_as_news(text: str, lang: Lang, question: str, *, n_cues: int) -> bool:
    """Return whether a normalised text reads as news: by its cues, or by its register.

    n_cues: how many kinds of cue are enough by themselves; one is enough where the register score
    is above the threshold too. The score alone is never enough: it is trained on a small corpus,
    and calls "I am a student at a college" news.
    """
    cues = news_cues(text, lang, question)
    if cues >= n_cues:
        return True
    return cues > 0 and news_score(text, lang) > news_threshold(lang, len(text))


def keeps_content_word(text: str, question: str) -> bool:
    """Return whether a content word of the question stands in the text, whatever its ending."""
    said = [aksharas(word.casefold()) for word in words(text)]
    for word in words(question):
        stem = aksharas(word.casefold())
        if word.casefold() in lexicon().function_words or len(stem) < 2:
            continue
        needed = max(2, len(stem) - 2) if not word.isascii() else len(stem)
        if any(other[:needed] == stem[:needed] for other in said):
            return True
    return False


def _says_nothing(text: str, question: str) -> bool:
    if chooses(text, question):
        return _is_blank(text)
    return only_echoes(text, question) or _is_blank(own_words(text, question))


def _is_blank(text: str) -> bool:
    return len(letters(text)) < MIN_AKSHARAS and not regex.search(r"\d", text)


def _asserts(text: str, question: str, found: Match) -> bool:
    numbers = set(regex.findall(r"\d+", text)) - set(regex.findall(r"\d+", question))
    return found.named_wrong or bool(numbers) or 0 < len(words(text)) <= SHORT_WORDS
