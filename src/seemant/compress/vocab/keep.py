"""Which tokens a trimmed model keeps, and why each."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.compress.vocab.merges import rank_of, with_pieces
from seemant.core.errors import BadFile, InputError
from seemant.models.prompts import template_of_metadata
from seemant.models.special_tokens import CONTROL, UNKNOWN, USER_DEFINED
from seemant.models.tokenizer import Tokenizer

BYTE = 6  # llama.cpp's token type of a single byte
_RESERVED = re.compile(r"<?\|?(?:unused|reserved|dummy)[\w ]*\d+\|?>?", re.IGNORECASE)
BLOCKS = (
    (0x20, 0x7E),  # ASCII: digits, punctuation, letters
    (0x900, 0x97F),  # Devanagari
    (0xC80, 0xCFF),  # Kannada
    (0x2010, 0x2026),  # dashes, quotation marks, the ellipsis
    (0x20B9, 0x20B9),  # the rupee sign
    (0x200C, 0x200D),  # joiners
)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The rows to keep, ascending ids (n,) int64; reasons: how many came by each, in order."""

    ids: NDArray[np.int64]
    reasons: Mapping[str, int]

    @property
    def n(self) -> int:
        """How many rows are kept."""
        return len(self.ids)


def kept_tokens(
    metadata: Mapping[str, Any],
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    at_least: int = 1,
    always: Iterable[str] = (),
    blocks: Iterable[tuple[int, int]] = BLOCKS,
) -> Kept:
    """Return what the texts and the model's own workings need.

    Kept are: special tokens (without reserved ones that nothing names), what the chat template
    writes, and byte tokens; single
    characters of the code point ranges `blocks`, so that a rare word falls apart into letters and
    not into bytes; tokens that the texts have at least `at_least` times; those of the words in
    `always`, at a text's beginning and after a space; and every piece on the way to one of these.

    Raises:
        BadFile: the file has no tokenizer, or none of a known kind.
    """
    tokens = list(metadata.get("tokenizer.ggml.tokens", ()))
    if not tokens:
        raise BadFile("the file has no tokenizer", fix="name a GGUF file of a whole model")
    types = list(metadata.get("tokenizer.ggml.token_type", ())) or [1] * len(tokens)
    ids_of = _first_ids(tokens)
    keep: set[int] = set()
    reasons: dict[str, int] = {}

    def add(reason: str, ids: Iterable[int]) -> None:
        before = len(keep)
        keep.update(ids)
        reasons[reason] = len(keep) - before

    add("special", _specials(metadata, tokens, types))
    add("chat template", _seen(tokenizer, _conversations(metadata), 1))
    if metadata.get("tokenizer.ggml.model") == "gpt2":  # its single characters are the 256 bytes
        add("bytes", (i for i, token in enumerate(tokens) if len(token) == 1))
    else:
        add("bytes", (i for i, kind in enumerate(types) if kind == BYTE))
        wanted = [range(first, last + 1) for first, last in blocks]
        single = (i for i, t in enumerate(tokens) if len(t) == 1)
        add("characters", (i for i in single if any(ord(tokens[i]) in each for each in wanted)))
    add("seen in the text", _seen(tokenizer, texts, at_least))
    add("asked for", _seen(tokenizer, [f for word in always for f in (word, f" {word}")], 1))
    ordinary = [tokens[i] for i in keep if types[i] not in (UNKNOWN, CONTROL, USER_DEFINED, BYTE)]
    needed = with_pieces(ordinary, rank_of(metadata))
    add("pieces of these", (ids_of[piece] for piece in needed if piece in ids_of))
    return Kept(np.array(sorted(keep), np.int64), reasons)


def _specials(metadata: Mapping[str, Any], tokens: list[str], types: list[int]) -> set[int]:
    named = {
        int(value)
        for key, value in metadata.items()
        if key.startswith("tokenizer.ggml.") and key.endswith("_token_id")
    }
    template = str(metadata.get("tokenizer.chat_template", ""))
    special = {
        i
        for i, kind in enumerate(types)
        if kind in (UNKNOWN, CONTROL, USER_DEFINED)
        and (tokens[i] in template or not _RESERVED.fullmatch(tokens[i]))
    }
    return special | {i for i in named if 0 <= i < len(tokens)}


def _conversations(metadata: Mapping[str, Any]) -> list[str]:
    """Return what the chat template writes of a talk of few words, with a system and without."""
    template = template_of_metadata(metadata)
    if template.name == "plain":
        return []
    found = []
    for system in ("a", None):
        with suppress(InputError):  # a template may know no system
            found.append(template.render("a", "en", system=system))
    return found


def _seen(tokenizer: Tokenizer, texts: Iterable[str], at_least: int) -> list[int]:
    counts: dict[int, int] = {}
    for text in texts:
        for token in tokenizer.encode(text, False):
            counts[token] = counts.get(token, 0) + 1
    return [token for token, n in counts.items() if n >= at_least]


def _first_ids(tokens: list[str]) -> dict[str, int]:
    return {token: index for index, token in reversed(list(enumerate(tokens)))}
