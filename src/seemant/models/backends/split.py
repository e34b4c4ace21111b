"""Where a context ends and its continuation begins, in tokens.

A text pair is tokenised as a whole and cut where the context's own tokens end, with trailing
white space moved to the continuation first (as in lm-evaluation-harness, `_encode_pair`): most
vocabularies begin a word with its space. Where the tokenizer joins letters across the border, the
whole has no cut there. Then the continuation is tokenised by itself: the model sees the context's
tokens just as it would when asked, followed by one spelling of the answer. Such pairs are marked.
"""

from collections.abc import Callable
from dataclasses import dataclass

from seemant.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Split:
    """Token ids of a context and of its continuation; both hold at least one."""

    context: list[int]
    continuation: list[int]
    merged: bool
    n_bytes: int


def split_pair(
    encode: Callable[[str, bool], list[int]], context: str, continuation: str, *, start: int
) -> Split:
    """Return the tokens of both parts.

    encode(text, special) -> ids. start: the token that stands before an empty context in a model
    without a beginning-of-sequence token of its own.

    Raises:
        InputError: the continuation holds nothing but white space.
    """
    n_bytes = len(continuation.lstrip().encode())
    if not n_bytes:
        raise InputError("an empty continuation has no likelihood", where=repr(continuation))
    bare = context.rstrip()
    continuation = context[len(bare) :] + continuation
    head = encode(bare, True)
    whole = encode(bare + continuation, True)
    merged = whole[: len(head)] != head or len(whole) == len(head)
    tail = encode(continuation, False) if merged else whole[len(head) :]
    return Split(head or [start], tail, merged, n_bytes)
