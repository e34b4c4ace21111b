"""Self-distillation of answers: the student's own wording, kept where the facts survive.

A student that is trained on its own words moves less from what it was than one that must imitate
a stranger's style (Yang et al., arXiv 2402.13669). It sees question and reference and writes the
answer anew; the rewording replaces the reference only if every check holds.
"""

from itertools import pairwise

from seemant.core.records import Lang, Pair
from seemant.corpus.scripts import script_share
from seemant.distill.checks import Candidate, complete, loop_free
from seemant.distill.words import content_words, numerals, share_found

MIN_SCRIPT_SHARE = 0.9  # of the reference's share of letters in the language's script
MIN_CONTENT = 0.6  # share of the reference's content words that are still there
MAX_LONGER = 2.0  # times the reference's length, and 80 letters more

ASKS: dict[Lang, str] = {
    "hi": "नीचे दिए गए उत्तर को अपने शब्दों में लिखिए। संख्याएँ और नाम वही रखिए।",
    "kn": "ಕೆಳಗಿನ ಉತ್ತರವನ್ನು ನಿಮ್ಮ ಮಾತುಗಳಲ್ಲಿ ಬರೆಯಿರಿ. ಸಂಖ್ಯೆಗಳು ಮತ್ತು ಹೆಸರುಗಳು ಹಾಗೆಯೇ ಇರಲಿ.",
    "en": "Write the answer below in your own words. Keep its numbers and names.",
}


def asked(pair: Pair) -> tuple[str, str]:
    """Return the question to the student and the text that goes with it."""
    given = "\n\n".join(part for part in (pair.instruction, pair.input, pair.output) if part)
    return ASKS[pair.lang], given


def failures(pair: Pair, text: str, *, whole: bool) -> list[str]:
    """Return what is wrong with a rewording of a pair's answer, "check: reason" each.

    whole: it came to its end before the limit of tokens.
    """
    lang, reference = pair.lang, pair.output
    candidate = Candidate(lang, reference, pair.instruction, text, whole=whole)
    wrong = [
        f"{check.__name__}: {result.reason}"
        for check in (complete, loop_free)
        if not (result := check(candidate)).ok
    ]
    if not text.strip():
        return [*wrong, "empty: nothing was written"]
    if lost := numerals(reference) - numerals(text):
        wrong.append(f"numbers: {min(lost)} is gone")
    if new := numerals(text) - numerals(f"{reference} {pair.instruction} {pair.input}"):
        wrong.append(f"numbers: {min(new)} is new")
    lost_names = [name for name in names(reference) if share_found([name], text, lang) == 0]
    if lost_names:
        wrong.append(f"names: {lost_names[0]} is gone")
    words = content_words(reference, lang)
    kept = share_found(words, text, lang) if words else 1.0
    if kept < MIN_CONTENT:
        wrong.append(f"content: {kept:.0%} of the answer's words are there")
    if script_share(text, lang) < MIN_SCRIPT_SHARE * script_share(reference, lang):
        wrong.append(f"script: {script_share(text, lang):.0%} of the letters")
    if len(text) > MAX_LONGER * len(reference) + 80:
        wrong.append(f"length: {len(text)} letters for {len(reference)}")
    return wrong


def names(text: str) -> list[str]:
    """Return words that look like names, folded: in Latin letters, capital inside a sentence.

    Devanagari and Kannada have no capitals; there the content words stand for the names.
    """
    words = text.split()
    inside = [word for before, word in pairwise(words) if not before.endswith((".", "!", "?", ":"))]
    return [
        w.strip(".,;:!?()\"'").casefold() for w in inside if w[:1].isascii() and w[:1].isupper()
    ]
