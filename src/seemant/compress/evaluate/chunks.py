"""Texts as chunks of tokens, cut and scored as llama.cpp's `perplexity --kl-divergence` does.

The whole text is tokenised once and cut into chunks of n tokens without overlap; what is left over
is dropped; the first token of each chunk is *overwritten* by BOS where the model asks for one. Of a
chunk the positions n/2 .. n-2 are scored, each by how it predicts the next token: 255 of 512.
"""

from collections.abc import Iterable, Sequence

from seemant.core.errors import InputError
from seemant.models.tokenizer import Tokenizer

LENGTH = 512


def chunks_of(
    texts: Iterable[str], tokenizer: Tokenizer, *, length: int = LENGTH, limit: int | None = None
) -> list[list[int]]:
    """Return the text's chunks, `length` ids each, at most `limit` of them.

    texts: pieces of one text, joined by newlines.

    Raises:
        InputError: not one whole chunk; says how many tokens there are.
    """
    if length < 4:
        raise ValueError(f"chunks of {length} tokens have nothing to score")
    ids = tokenizer.encode("\n".join(texts))
    starts = range(0, len(ids) - length + 1, length)
    chunks = [ids[start : start + length] for start in starts[:limit]]
    if not chunks:
        raise InputError(
            f"the text has {len(ids)} tokens, less than one chunk of {length}",
            fix="give more text or a shorter chunk length",
        )
    if tokenizer.add_bos and tokenizer.bos_id is not None:
        for chunk in chunks:
            chunk[0] = tokenizer.bos_id
    return chunks


def scored(length: int) -> range:
    """Return the positions of a chunk that are scored; each predicts the token after it."""
    return range(length // 2, length - 1)


def batches_of(lengths: Sequence[int], tokens: int) -> list[range]:
    """Return runs of neighbouring chunks of at most so many tokens together (or one chunk)."""
    found, first, total = [], 0, 0
    for index, length in enumerate(lengths):
        if total and total + length > tokens:
            found.append(range(first, index))
            first, total = index, 0
        total += length
    if len(lengths) > first:
        found.append(range(first, len(lengths)))
    return found
