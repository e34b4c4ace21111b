"""SentencePiece-like BPE (Gemma, Llama 2, Phi-3) in a GGUF file's words: a score a token.

Such a folder has merges, a GGUF file of this kind has scores: of all neighbours whose joined text
is a token the best-scored pair is joined. The merges of these models were made from such scores
(every way to split a token, tokens in the order of their scores), so the order in which tokens
first come up gives the scores back: 0, -1, -2, ..., those of the model's own `tokenizer.model`
wherever it was trained by SentencePiece. Single letters, which nothing joins, come after.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile
from seemant.models.cut_meaning import check_normaliser, composed
from seemant.models.special_tokens import BYTE, NORMAL, UNUSED
from seemant.models.telling_texts import TEXTS
from seemant.models.tokenizer_kinds import SPACE

if TYPE_CHECKING:
    import tokenizers

# The GGUF cut of merges on letters whose spaces are ▁.
MERGES_OF_LETTERS = "sarvam-moe"
# What llama.cpp's converter gives to tokens that are never joined, and to rows without a token.
_ADDED_SCORE, _PADDING_SCORE = -1000.0, -10_000.0


def byte_scores(
    pieces: Mapping[int, str],
    types: Sequence[int],
    merges: Sequence[tuple[str, str]],
) -> tuple[list[float], list[int]]:
    """Return every id's score, and the types with single bytes marked as such.

    pieces: id to token. types: of every row of the embedding.
    """
    ranks: dict[str, int] = {}
    plain = {pieces[i] for i, kind in enumerate(types) if kind == NORMAL and i in pieces}
    for left, right in merges:
        if left + right in plain:
            ranks.setdefault(left + right, len(ranks))
    scores, marked, letters = [], list(types), len(ranks)
    for i, kind in enumerate(types):
        piece = pieces.get(i, "")
        if kind == NORMAL and re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", piece):
            marked[i] = BYTE
            scores.append(0.0)
        elif kind == NORMAL and piece in ranks:
            scores.append(-float(ranks[piece]))
        elif kind == NORMAL:
            scores.append(-float(letters))
            letters += 1
        else:
            scores.append(_PADDING_SCORE if kind == UNUSED else _ADDED_SCORE)
    return scores, marked


def space_prefix(inner: "tokenizers.Tokenizer", where: str) -> bool:
    """Return whether a space is put before every text.

    Raises:
        BadFile: text is rewritten or cut otherwise than by writing spaces as letters.
    """
    check_normaliser(inner, where, lambda text: _written(inner, text))
    seen = [_before_merges(inner, composed(text)) for text in TEXTS]
    for prefix in ("", SPACE):
        if all(
            "".join(words) == prefix + composed(text).replace(" ", SPACE)
            for words, text in zip(seen, TEXTS, strict=True)
        ):
            if any(len(words) > 1 for words in seen) and _spans_words(inner):
                break
            return prefix == SPACE
    raise BadFile(
        "the tokenizer prepares text in a way that no GGUF file can say "
        f"({' a'!r} becomes {_before_merges(inner, ' a')})",
        where=where,
        fix="use a folder whose tokenizer writes spaces as ▁ and cuts nothing",
    )


def _written(inner: "tokenizers.Tokenizer", text: str) -> str:
    letters = text.replace(" ", SPACE)
    starts = inner.normalizer.normalize_str("a") == SPACE + "a"
    return SPACE + letters if starts else letters


def _before_merges(inner: "tokenizers.Tokenizer", text: str) -> list[str]:
    text = text if inner.normalizer is None else inner.normalizer.normalize_str(text)
    if inner.pre_tokenizer is None:
        return [text]
    return [word for word, _ in inner.pre_tokenizer.pre_tokenize_str(text)]


def _spans_words(inner: "tokenizers.Tokenizer") -> bool:
    """Whether a cut at spaces would keep some token from being made."""
    runs = re.compile(f"[^{SPACE}]{SPACE}|{SPACE}{SPACE}")
    return any(runs.search(piece) for piece in inner.get_vocab(with_added_tokens=False))


def complete(merges: Sequence[tuple[str, str]], known: Mapping[str, Any]) -> bool:
    """Return whether the merges are every split of every token, as SentencePiece's are."""
    given = set(merges)
    return all(
        (token[:cut], token[cut:]) in given
        for token in known
        for cut in range(1, len(token))
        if token[:cut] in known and token[cut:] in known
    )
