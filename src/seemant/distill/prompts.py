"""What a teacher is asked: a few-shot text that a base model continues, or a request for JSON."""

from functools import cache

from seemant.core.records import Lang
from seemant.distill.examples import Cue, cues, examples
from seemant.distill.words import has_number, tokens, wordlist
from seemant.models.prompts import LABELS

_LANGUAGE_NAMES: dict[Lang, str] = {"hi": "Hindi", "kn": "Kannada", "en": "English"}

_REQUEST = """\
Write one question in {language} that the paragraph below answers, and its answer.

- The question stands by itself: it names what it asks about, and does not say "the paragraph".
- The answer is short, in {language}, correct, and uses only what the paragraph says.
- Copy no whole sentence into the question.

Reply with one JSON object and nothing else: {{"instruction": "the question", "output": "the \
answer"}}

Paragraph:
{text}"""


@cache
def few_shot(lang: Lang) -> str:
    """Return the examples, the same for all paragraphs of a language: a backend keeps them."""
    ask, text, answer = LABELS[lang]
    return "".join(
        f"{text}: {each.passage}\n{ask}: {each.question}\n{answer}: {each.answer}\n\n"
        for each in examples(lang)
    )


def completion_prompt(lang: Lang, passage: str | None) -> str:
    """Return the text up to where the question begins; without a passage, the bare form.

    A question word follows after one space, then the model goes on.
    """
    ask, text, _ = LABELS[lang]
    given = f"{text}: {passage}\n" if passage else ""
    return f"{few_shot(lang)}{given}{ask}:"


def answer_prompt(lang: Lang, passage: str, question: str | None) -> str:
    """Return the text up to where the answer begins, with the question or without one."""
    ask, text, answer = LABELS[lang]
    asked = f"{ask}: {question}\n" if question else ""
    return f"{few_shot(lang)}{text}: {passage}\n{asked}{answer}:"


def completion_stops(lang: Lang) -> tuple[str, ...]:
    """Return what ends a completion: an empty line, or the labels of a next example."""
    ask, text, _ = LABELS[lang]
    return ("\n\n", f"\n{text}", f"\n{ask}")


def open_cues(lang: Lang, passage: str) -> list[Cue]:
    """Return the question words that the passage can answer: no "how many" without a number."""
    known, said = wordlist(lang), tokens(passage)
    has = {
        None: True,
        "number": has_number(passage, lang),
        "time": any(word.startswith(known.times) for word in said),
        "reason": any(word in known.reasons for word in said),
    }
    return [cue for cue in cues(lang) if has[cue.needs]]


def request(lang: Lang, text: str) -> str:
    """Return what a chat model is asked for one paragraph."""
    return _REQUEST.format(language=_LANGUAGE_NAMES[lang], text=text)
