"""What is said where a server gives nothing that could be used, again and again."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.core.errors import InputError, SeemantError, ServerDown
from seemant.distill.verdict import GARBAGE, kind_of


def out_of_order(held: Sequence[Mapping[str, Any]]) -> SeemantError:
    """Return the error of replies in a row without a pair; none of them is in the journal."""
    last = held[-1]
    why = str(last["reasons"][0]).partition(": ")[2]
    if all(entry.get("final") for entry in held):
        return InputError(
            f"the server refuses every request: {len(held)} in a row",
            where=f"the last: {why}",
            fix="mend what it names: the settings, the model's name behind #, or the paragraphs",
        )
    if kind_of(last) != GARBAGE:
        return ServerDown(
            f"the teacher gives no answers: {len(held)} replies in a row without one",
            where=f"the last: {why}",
            fix="look at the server, or raise --server-tokens where it only thinks; then run the "
            "same command again",
        )
    shown = f"the last: {str(last['reply'])[:80]!r}"
    advice = "that the server runs an instruction-tuned model"
    if why:
        advice = "whether --server-tokens is large enough, or take a larger model"
    return ServerDown(
        f"the teacher answers nonsense: {len(held)} replies in a row without a pair",
        where=f"{shown} ({why})" if why else shown,
        fix=f"check {advice}, then run the same command again",
    )
