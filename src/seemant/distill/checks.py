"""What a pair must pass to be kept: small pure checks, each with its reason when it fails.

They judge form and support, not meaning: an answer made of the paragraph's words can still answer
another question. What is left to chance is said in docs/distill.md, with a count by hand.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from seemant.core.records import Lang
from seemant.corpus.scripts import n_letters, script_share
from seemant.distill.examples import examples, names
from seemant.distill.words import (
    content_words,
    fold,
    has_number,
    is_interrogative,
    numerals,
    share_found,
    tokens,
    wordlist,
)
from seemant.probe.sentences import sentences

# Thresholds, set by reading the embedded teacher's output in the three languages.
MIN_SCRIPT = 0.7  # share of letters; a few technical terms in Latin letters are welcome
MIN_OWN_SCRIPT = 0.3  # the same with the paragraph's own Latin words
QUESTION_CHARS = (8, 200)
ANSWER_CHARS = (1, 200)
MIN_ABOUT = 0.5  # share of the question's content words that the paragraph holds
MIN_SUPPORT = 0.75  # the same of the answer's, which must come from the paragraph
MAX_COPIED = 0.8  # share of a sentence's words that a question may repeat
MIN_SENTENCE_WORDS = 3  # "Yes, I will." is repeated by chance
MAX_EXAMPLE = 0.6  # Jaccard similarity of character 4-grams to an example's question
MIN_REASON_WORDS = 3
MIN_MARGIN = (
    0.2  # nats; of 33 pairs read by hand the 11 right ones lie above, 9 of 22 wrong ones below
)


class Result(NamedTuple):
    """Whether a check holds, and if not, why: short words and the figure that failed."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair under judgement.

    text: the whole paragraph. whole: the answer was not cut. margin: nats by which the question
    makes the answer likelier to the teacher, None where unknown.
    """

    lang: Lang
    text: str
    question: str
    answer: str
    whole: bool = True
    margin: float | None = None


def script(pair: Candidate) -> Result:
    """Question and answer are in the language's script; words taken from the paragraph may not be.

    No word mixes two scripts.
    """
    for name, text in (("question", pair.question), ("answer", pair.answer)):
        given = set(tokens(pair.text))
        own = [word for word in tokens(text) if word not in given]
        mixed = [word for word in own if 0 < script_share(word, pair.lang) < 1]
        if mixed:
            return Result(False, f"{mixed[0]!r} mixes scripts")
        share = script_share(" ".join(own), pair.lang)
        if n_letters(" ".join(own)) and share < MIN_SCRIPT:
            return Result(False, f"{share:.0%} of the {name}'s own letters")
    share = script_share(pair.question, pair.lang)
    return Result(share >= MIN_OWN_SCRIPT, f"{share:.0%} of the question's letters")


def length(pair: Candidate) -> Result:
    """Neither question nor answer is too short or too long."""
    for name, text, (low, high) in (
        ("question", pair.question, QUESTION_CHARS),
        ("answer", pair.answer, ANSWER_CHARS),
    ):
        if not low <= len(text) <= high:
            return Result(False, f"{name} of {len(text)} characters")
    if len(tokens(pair.question)) < 2:
        return Result(False, "question of one word")
    return Result(bool(tokens(pair.answer)), "answer without a word or a number")


def asks(pair: Candidate) -> Result:
    """It asks: a question word of the language, or a yes-no form with its mark."""
    known, said = wordlist(pair.lang), tokens(pair.question)
    marked = pair.question.rstrip("\"”’' ").endswith("?")
    if known.needs_mark and not marked:
        return Result(False, "no question mark")
    if any(is_interrogative(word, pair.lang) for word in said):
        return Result(True)
    yes_no = said and (
        said[0] in known.yes_no_first or said[-1].endswith(known.yes_no_endings or ("\0",))
    )
    return Result(bool(marked and yes_no), "no question word")


def complete(pair: Candidate) -> Result:
    """The answer came to its end before the teacher's limit of tokens."""
    return Result(pair.whole, "cut at the token limit")


def loop_free(pair: Candidate) -> Result:
    """No three words come three times, and no long answer is half repetition."""
    for text in (pair.question, pair.answer):
        said = tokens(text)
        triples = Counter(zip(said, said[1:], said[2:], strict=False))
        if triples and max(triples.values()) >= 3:
            return Result(False, "the same three words three times")
        if len(said) >= 8 and len(set(said)) < len(said) / 2:
            return Result(False, "half of the words are repetitions")
    return Result(True)


def not_example(pair: Candidate) -> Result:
    """It is none of the examples that the teacher was shown, and speaks of nothing of theirs."""
    asked = _grams(pair.question)
    for example in examples(pair.lang):
        if _jaccard(asked, _grams(example.question)) > MAX_EXAMPLE:
            return Result(False, "the question is an example's")
        same = fold(pair.answer).strip(" .।") == fold(example.answer).strip(" .।")
        if same and fold(example.answer) not in fold(pair.text):
            return Result(False, "the answer is an example's")
    said = f"{pair.question} {pair.answer}"
    for name in names(pair.lang):
        if share_found([fold(name)], said, pair.lang) > share_found(
            [fold(name)], pair.text, pair.lang
        ):
            return Result(False, f"{name} is an example's")
    return Result(True)


def not_copied(pair: Candidate) -> Result:
    """The question leaves something of each sentence out: what it asks for.

    Hindi and Kannada put the question word where the answer would stand, so a good question may
    copy a long piece of a sentence, but never nearly all of it.
    """
    asked = set(tokens(pair.question))
    for sentence in sentences(pair.text):
        said = set(tokens(sentence))
        share = len(said & asked) / len(said) if len(said) >= MIN_SENTENCE_WORDS else 0.0
        if share >= MAX_COPIED:
            return Result(False, f"{share:.0%} of a sentence's words")
    return Result(True)


def about(pair: Candidate) -> Result:
    """The question speaks of what the paragraph speaks of; its numbers stand there too."""
    strange = numerals(pair.question) - numerals(pair.text)
    if strange:
        return Result(False, f"the number {min(strange)} is not in the paragraph")
    wanted = content_words(pair.question, pair.lang)
    if not wanted and not numerals(pair.question):
        return Result(False, "nothing in the question to look for")
    share = share_found(wanted, pair.text, pair.lang) if wanted else 1.0
    return Result(share >= MIN_ABOUT, f"{share:.0%} of the question's words in the paragraph")


def supported(pair: Candidate) -> Result:
    """The answer's words and numbers stand in the paragraph."""
    strange = numerals(pair.answer) - numerals(pair.text)
    if strange:
        return Result(False, f"the number {min(strange)} is not in the paragraph")
    wanted = content_words(pair.answer, pair.lang)
    if not wanted:  # "yes", "this one": nothing that could be looked for
        return Result(bool(numerals(pair.answer)), "nothing in the answer to look for")
    share = share_found(wanted, pair.text, pair.lang)
    return Result(share >= MIN_SUPPORT, f"{share:.0%} of the answer's words in the paragraph")


def not_echo(pair: Candidate) -> Result:
    """The answer says something that the question did not."""
    if numerals(pair.answer) - numerals(pair.question):
        return Result(True)
    said = content_words(pair.answer, pair.lang)
    share = share_found(said, pair.question, pair.lang)
    return Result(bool(said) and share < 1.0, "the answer only repeats the question")


def fits(pair: Candidate) -> Result:
    """How many is answered by a quantity, when by a time, where by a place, why by a reason.

    As far as words tell: a number, a word of time, a Hindi postposition or a Kannada case of
    place, more than a word or two.
    """
    known, asked, said = wordlist(pair.lang), set(tokens(pair.question)), tokens(pair.answer)
    quantity = any(how in fold(pair.question) for how in known.how_many)
    if quantity and not has_number(pair.answer, pair.lang):
        return Result(False, "how many, and no quantity")
    timely = numerals(pair.answer) or any(word.startswith(known.times) for word in said)
    if asked & known.when and not timely:
        return Result(False, "when, and no time")
    if asked & known.where and known.places and not any(w.endswith(known.places) for w in said):
        return Result(False, "where, and no place")
    if asked & known.why and len(said) < MIN_REASON_WORDS:
        return Result(False, "why, and no reason")
    return Result(True)


def answers_it(pair: Candidate) -> Result:
    """The teacher itself finds the answer likelier for being asked this question."""
    if pair.margin is None:
        return Result(True)
    return Result(pair.margin > MIN_MARGIN, f"likelier by {pair.margin:.1f} nats only")


CHECKS: dict[str, Callable[[Candidate], Result]] = {
    "complete": complete,
    "script": script,
    "length": length,
    "loop_free": loop_free,
    "asks": asks,
    "not_example": not_example,
    "not_copied": not_copied,
    "about": about,
    "supported": supported,
    "not_echo": not_echo,
    "fits": fits,
    "answers_it": answers_it,
}
"""All checks of one pair, in the order in which a failed pair is counted: by its first reason.

`not_duplicate` comes after these: it needs the pairs before it (collect.py).
"""


def judge(pair: Candidate) -> tuple[dict[str, bool], list[str]]:
    """Return each check's outcome and, for those that failed, "name: reason", in order."""
    results = {name: check(pair) for name, check in CHECKS.items()}
    reasons = [f"{name}: {each.reason}" for name, each in results.items() if not each.ok]
    return {name: each.ok for name, each in results.items()}, reasons


def normalised(instruction: str) -> str:
    """Return the form in which two instructions count as the same: words alone, folded."""
    return " ".join(tokens(instruction))


def _grams(text: str) -> set[str]:
    flat = " ".join(tokens(text))
    return {flat[i : i + 4] for i in range(max(1, len(flat) - 3))}


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)
