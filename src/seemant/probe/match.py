"""Is an answer right? Aliases on word edges, with the traps that naive matchers fall into.

"ai" stands in "Said 27: The police", "7" stands in "27", ಸಹಾಯಕ (assistant) stands in
ಸಹಾಯಕ ಆಯುಕ್ತ (assistant commissioner), and a yes/no answer stands in its own question. The order:
normalise, cut off the next turn and the echo of the question, find accepted answers and
distractors on word edges with their case endings, drop what is negated or counts something else,
and let the first that is left decide.
"""

from dataclasses import dataclass

import regex

from seemant.core.records import Probe
from seemant.probe.echo import strip_echo
from seemant.probe.lexicon import digits_of
from seemant.probe.negation import contains_negator, is_negated
from seemant.probe.normalise import normalise
from seemant.probe.numbers import counts_something_else, is_number, is_operand
from seemant.probe.occurrences import Occurrence, find, standing_alone
from seemant.probe.plain_numbers import multiplier, plain_numbers
from seemant.probe.sentences import first_sentence

# A list such as "Delhi, Mumbai or Kolkata" names the right answer without knowing it.
_LISTED = regex.compile(
    r"\s*(?:[,/|]|\b(?:or|and)\b|या|और|एवं|ಅಥವಾ|ಮತ್ತು)(?:[\s,/|]|or\b|and\b|या|और|ಅಥವಾ|ಮತ್ತು)*"
)
# Offices that begin with "assistant", "digital", "virtual"...: an officer, not a program.
_OFFICES = regex.compile(
    r"\s+(?:commissioner|professor|director|engineer|inspector|secretary|manager|teacher|coach|"
    r"sub-inspector|registrar|police|आयुक्त|पुलिस|प्राध्यापक|प्रोफेसर|निदेशक|अभियंता|सचिव|"
    r"निरीक्षक|अध्यापक|शिक्षक|ಆಯುಕ್ತ|ಪೊಲೀಸ್|ಪ್ರಾಧ್ಯಾಪಕ|ನಿರ್ದೇಶಕ|ಇಂಜಿನಿಯರ್|ಎಂಜಿನಿಯರ್|ಕಾರ್ಯದರ್ಶಿ|"
    r"ಆಯುಕ್ತೆ|ಶಿಕ್ಷಕ|ನಿರೀಕ್ಷಕ|ಅಭಿಯಂತ|ಜಿಲ್ಲಾಧಿಕಾರಿ)",
    regex.IGNORECASE,
)
# Who speaks: an identity is stated in the first person.
_FIRST_PERSON = regex.compile(
    r"\b(?:I|I'm|My|my|me|myself|As an?)\b|\b(?:मैं|मेरा|मेरे|मेरी|मुझे|हूं|हम)\b|\bನಾನ|\bನನ್ನ|\bನನಗ"
)
_SHORT_REPLY_WORDS = 6  # "AI assistant", "एक भाषा मॉडल": an answer without a verb


@dataclass(frozen=True, slots=True)
class Match:
    """The verdict on one reply.

    correct: None where the probe has no accepted answer.
    alias: the accepted answer that was found, else "".
    in_first_sentence: whether it stands in the reply's first sentence.
    reason: why the reply is not correct, else "".
    named_wrong: a distractor is asserted, before or after.
    """

    correct: bool | None
    alias: str = ""
    in_first_sentence: bool = False
    reason: str = ""
    named_wrong: bool = False


def match(reply: str, probe: Probe) -> Match:
    """Return whether a reply answers a probe (evaluation notes, section 5)."""
    if not probe.accepted:
        return Match(None, reason="no accepted answer")
    question = normalise(probe.question)
    text = plain_numbers(strip_echo(normalise(reply), question))
    question = plain_numbers(question)
    golds = _asserted(text, probe, _with_digits(probe.accepted), wrong=False)
    wrongs = [
        each
        for each in _asserted(text, probe, _with_digits(probe.distractors), wrong=True)
        if not find(question, each.alias, probe.lang)
        and not (is_number(each.alias) and is_operand(text, each.start, each.end, question))
    ]
    golds, wrongs = _larger_wins(golds, wrongs)
    kept = [each for each in golds if not _disqualified(text, each, golds + wrongs, probe)]
    wrongs = [each for each in wrongs if not is_negated(text, each, golds + wrongs)]
    named_wrong = bool(wrongs)
    if not kept:
        reason = "negated or about something else" if golds else "not found"
        return Match(False, reason=reason, named_wrong=named_wrong)
    gold = kept[0]
    if wrongs and wrongs[0].start < gold.start:
        return Match(False, reason=f"{wrongs[0].alias!r} comes first", named_wrong=True)
    for wrong in wrongs:
        if wrong.start >= gold.end and _LISTED.fullmatch(text[gold.end : wrong.start]):
            return Match(False, reason="a list of right and wrong", named_wrong=True)
    early = gold.start < len(first_sentence(text))
    return Match(True, gold.alias, early, "", named_wrong)


def _asserted(
    text: str, probe: Probe, aliases: tuple[str, ...], *, wrong: bool
) -> list[Occurrence]:
    """Return all places of the aliases, first ones first, of equals the longest."""
    found = [
        place
        for alias in aliases
        for place in find(text, plain_numbers(normalise(alias)), probe.lang)
        if not wrong or standing_alone(text, place)
    ]
    return sorted(found, key=lambda each: (each.start, -each.end))


def _with_digits(aliases: tuple[str, ...]) -> tuple[str, ...]:
    words = [normalise(alias) for alias in aliases]
    digits = [digits_of(word) or multiplier(word) for word in words]
    return (*aliases, *(each for each in digits if each and each not in aliases))


def _larger_wins(
    golds: list[Occurrence], wrongs: list[Occurrence]
) -> tuple[list[Occurrence], list[Occurrence]]:
    """Return both lists without places that lie inside a longer place of the other list."""
    kept = [g for g in golds if not any(_inside(g, w) for w in wrongs)]
    return kept, [w for w in wrongs if not any(_inside(w, g) for g in golds)]


def _inside(inner: Occurrence, outer: Occurrence) -> bool:
    longer = outer.end - outer.start > inner.end - inner.start
    return longer and outer.start <= inner.start and inner.end <= outer.end


def _disqualified(text: str, gold: Occurrence, places: list[Occurrence], probe: Probe) -> bool:
    question = plain_numbers(normalise(probe.question))
    if is_number(gold.alias) and counts_something_else(text, gold.start, gold.end, question):
        return True
    if not contains_negator(gold.alias) and is_negated(text, gold, places):
        return True
    if probe.category != "identity":
        return False
    if _OFFICES.match(text[gold.end :]):
        return True
    return not _speaks_of_itself(text, gold)


def _speaks_of_itself(text: str, gold: Occurrence) -> bool:
    if _FIRST_PERSON.search(gold.alias) or _FIRST_PERSON.search(text):
        return True
    return len(first_sentence(text).split()) <= _SHORT_REPLY_WORDS
