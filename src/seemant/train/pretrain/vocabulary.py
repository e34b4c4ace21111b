"""Vocabularies made here: byte-level BPE learned from the text, or the 256 bytes alone.

Byte-level BPE: the text's UTF-8 bytes, and merges of neighbours inside words, the most frequent
pair first (Sennrich et al., arXiv 1508.07909, algorithm 1, on bytes as in GPT-2). Words are cut
by llama.cpp's `qwen35` expression: it is the one that keeps Devanagari and Kannada vowel signs
with their letters, so that an akshara, or a word, can become one token.

Both kinds are written as the metadata of a GGUF file and read back by the reader of such files,
so what trains is what llama.cpp will see. Ids 0 to 255 are the bytes, then the merges in their
order, then the two special tokens.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from seemant.core.errors import BadConfig, BadRecord
from seemant.formats.gguf_meta import MetaValue
from seemant.models.cuts import cut_of
from seemant.models.special_tokens import CONTROL
from seemant.models.tokenizer import Tokenizer, tokenizer_of_metadata

BEGIN, END = "<|begin|>", "<|end|>"  # around every document; llama.cpp stops at END
N_SPECIAL = 2
N_BYTES = 256
CUT = "qwen35"
_NORMAL = 1


def byte_metadata() -> dict[str, Any]:
    """Return a vocabulary of the 256 bytes: id = byte, then BEGIN and END."""
    return _metadata([], [])


def bpe_metadata(texts: Iterable[str], size: int) -> dict[str, Any]:
    """Return a vocabulary of at most `size` tokens, learned from the texts.

    The same texts in the same order give the same vocabulary. It is smaller than `size` where the
    texts have too few different words to go on merging.

    Raises:
        BadConfig: `size` leaves no room for a merge. BadRecord: the texts have nothing to merge.
    """
    from tokenizers import Tokenizer as Inner
    from tokenizers import models, trainers
    from tokenizers.pre_tokenizers import ByteLevel

    if size <= N_BYTES + N_SPECIAL:
        raise BadConfig(
            f"a BPE vocabulary of {size} tokens has no room beside the bytes",
            where="vocab_size",
            fix=f"use {N_BYTES + N_SPECIAL + 1} or more, or --vocabulary byte",
        )
    inner = Inner(models.BPE())
    inner.pre_tokenizer = cut_of(CUT).build()
    trainer = trainers.BpeTrainer(
        vocab_size=size - N_SPECIAL,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(inner.to_str())["model"]["merges"]]
    if not merges:
        raise BadRecord("the text is too short to learn a vocabulary from", fix="give more text")
    # Two merges may give the same token (a|bc and ab|c): it has one id, that of the first.
    joined = list(dict.fromkeys(left + right for left, right in merges))
    return _metadata(joined, [f"{left} {right}" for left, right in merges])


def tokenizer_of(metadata: dict[str, Any]) -> Tokenizer:
    """Return the tokenizer that the metadata describes."""
    plain = {
        key: value.value if isinstance(value, MetaValue) else value
        for key, value in metadata.items()
    }
    return tokenizer_of_metadata(plain, "the vocabulary made here")


@contextmanager
def specials_as_text(tokenizer: Tokenizer) -> Iterator[None]:
    """Read special tokens written out in a text as the letters they are, while this lasts.

    A document may hold BEGIN or END as text (a page about language models does): as the token it
    would end the document in its middle, and its bytes would be counted as one.
    """
    before = tokenizer.inner.encode_special_tokens
    tokenizer.inner.encode_special_tokens = True
    try:
        yield
    finally:
        tokenizer.inner.encode_special_tokens = before


def byte_letters() -> list[str]:
    """Return the letter by which byte-level BPE writes each byte, by byte (GPT-2's table).

    Printable Latin-1 stands for itself; the others get the letters from U+0100 on, in order.
    """
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(N_BYTES) if byte not in shown]
    return [chr(b) if b in shown else chr(N_BYTES + hidden.index(b)) for b in range(N_BYTES)]


def _metadata(joined: list[str], merges: list[str]) -> dict[str, Any]:
    tokens = [*byte_letters(), *joined, BEGIN, END]
    n_plain = len(tokens) - N_SPECIAL
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": CUT,
        "tokenizer.ggml.tokens": MetaValue("[string]", tokens),
        "tokenizer.ggml.token_type": MetaValue(
            "[int32]", [_NORMAL] * n_plain + [CONTROL] * N_SPECIAL
        ),
        "tokenizer.ggml.merges": MetaValue("[string]", merges),
        "tokenizer.ggml.bos_token_id": n_plain,
        "tokenizer.ggml.eos_token_id": n_plain + 1,
        "tokenizer.ggml.add_bos_token": True,
    }
