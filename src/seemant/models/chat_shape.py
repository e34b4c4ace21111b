"""How a chat template writes one answer: asked by rendering a conversation with a marked answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from seemant.core.errors import InputError
from seemant.models.chat_render import render_chat

_ASK = [{"role": "user", "content": "QUESTION-MARK"}]
_TALK = [*_ASK, {"role": "assistant", "content": "ANSWER-MARK"}]
_MARK = "ANSWER-MARK"
_PIECE = re.compile(r"<[^<>\s]{1,60}>|\[[^\[\]\s]{1,60}\]")
_EMPTY_THOUGHT = re.compile(r"\s*<think>\s*</think>\s*")


@dataclass(frozen=True, slots=True)
class TurnShape:
    """Where an answer stands in a rendered conversation.

    end: the piece behind an answer, "" where the template writes none. A template may write more
        behind the last answer of all (Phi-3: `<|end|>`, then the end of the text).
    lead, gap: the white space that it writes between prompt and answer, and between answer and
        end.
    thinks: it writes an empty thought before an answer that has none.
    unlike: why an answer behind the prompt would not be what the template itself writes, so that
        nothing can be trained on it; "" where it is.
    in_parts: it reads a content as a list of parts.
    """

    end: str = ""
    lead: str = ""
    gap: str = ""
    thinks: bool = False
    unlike: str = ""
    in_parts: bool = False


def shape_of(source: str, specials: Mapping[str, str]) -> TurnShape:
    """Return the shape of a template's answers; a template that cannot show it never raises."""
    in_parts = _reads_parts(source, specials)
    try:
        prompt = render_chat(source, _ASK, specials=specials, in_parts=in_parts)
        text = render_chat(source, _TALK, specials=specials, begin_answer=False, in_parts=in_parts)
    except InputError as error:  # said again when somebody talks; reading a model goes on
        return TurnShape(unlike=error.what, in_parts=in_parts)
    before, found, tail = text.rpartition(_MARK)
    if not found:
        return TurnShape(unlike="it does not show an answer at all", in_parts=in_parts)
    gap, end = _end_in(tail, specials.get("eos_token", ""))
    if not text.startswith(prompt):
        shared = next(i for i in range(len(prompt)) if prompt[: i + 1] != text[: i + 1])
        begun = prompt[shared:]
        unlike = f"it begins an answer with {begun!r}, which stands in no finished conversation"
        return TurnShape(end, gap=gap, unlike=unlike, in_parts=in_parts)
    between = before[len(prompt) :]
    thinks = _EMPTY_THOUGHT.fullmatch(between) is not None
    lead = "" if thinks else between
    unlike = f"it writes {lead!r} between the prompt and an answer" if lead.strip() else ""
    return TurnShape(end, "" if unlike else lead, gap, thinks, unlike, in_parts)


def _reads_parts(source: str, specials: Mapping[str, str]) -> bool:
    def shows(in_parts: bool) -> bool:
        try:
            text = render_chat(source, _ASK, specials=specials, in_parts=in_parts)
        except InputError:
            return False
        return _ASK[0]["content"] in text

    return not shows(False) and shows(True)


def _end_in(tail: str, eos: str) -> tuple[str, str]:
    rest = tail.lstrip()
    gap = tail[: len(tail) - len(rest)]
    if eos and rest.startswith(eos):
        return gap, eos
    found = _PIECE.match(rest)
    end = found[0] if found else rest.partition("\n")[0].strip()
    return (gap, end) if end else ("", "")
