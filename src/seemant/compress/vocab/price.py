"""What trimming costs: tokens that fall outside, and nats a byte of the same text.

Nats a token cannot be compared between two tokenizers, nats a byte can: both models are asked for
the probability of the same text, each cut in its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seemant.compress.evaluate.head import Head, nll
from seemant.core.errors import InputError
from seemant.core.interval import Interval
from seemant.core.seeds import rng
from seemant.models.decoder.decoder import Decoder
from seemant.models.tokenizer import Tokenizer
from seemant.stats.bootstrap import draws, ratio

LONGEST = 1024  # tokens of a text that are scored together


@dataclass(frozen=True, slots=True)
class Outside:
    """How many of a text's tokens, cut by the whole vocabulary, have no row any more."""

    n: int
    n_outside: int

    @property
    def share(self) -> float:
        """The share of tokens outside."""
        return self.n_outside / self.n if self.n else 0.0


def outside(tokenizer: Tokenizer, texts: Sequence[str], ids: NDArray[np.int64]) -> Outside:
    """Return the count for texts; tokenizer: of the model before; ids: the rows kept."""
    found = np.array([token for text in texts for token in tokenizer.encode(text, False)], np.int64)
    return Outside(len(found), int((~np.isin(found, ids)).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class TextNats:
    """-log p of texts under one model, text by text (texts,); n_tokens as that model cuts them."""

    nats: NDArray[np.float64]
    n_bytes: NDArray[np.int64]
    n_tokens: NDArray[np.int64]

    def per_byte(self, *, seed: int = 0) -> Interval:
        """Return nats a byte with its interval over texts."""
        drawn = draws(len(self.nats), rng(seed, "nats per byte"))
        return ratio(self.nats, self.n_bytes, drawn)

    def over(self, other: "TextNats", *, seed: int = 0) -> Interval:
        """Return this model's nats over another's, of the same texts, paired; n counts bytes."""
        if not np.array_equal(self.n_bytes, other.n_bytes):
            raise ValueError("not the same texts")
        drawn = draws(len(self.nats), rng(seed, "nats per byte"))
        return ratio(self.nats, other.nats, drawn, n=int(self.n_bytes.sum()))


@torch.inference_mode()
def text_nats(decoder: Decoder, tokenizer: Tokenizer, texts: Sequence[str]) -> TextNats:
    """Return the nats of texts, each read by itself from its beginning.

    All tokens count: the first is predicted from BOS, whether the model asks for it or not; where
    a tokenizer has none (Qwen's) from EOS, which stands between texts.

    Raises:
        InputError: a text of more than 1024 tokens (say, cut it), or neither BOS nor EOS.
    """
    begin = tokenizer.eos_id if tokenizer.bos_id is None else tokenizer.bos_id
    if begin is None:
        raise InputError("the tokenizer has neither BOS nor EOS to predict a first token from")
    head = Head.of(decoder)
    nats, sizes, counts = [], [], []
    for text in texts:
        ids = [begin, *tokenizer.encode(text, False)]
        if not 1 < len(ids) <= LONGEST:
            raise InputError(
                f"a text of {len(ids) - 1} tokens: {text[:40]!r}",
                fix=f"give texts of 1 to {LONGEST - 1} tokens, paragraphs say",
            )
        hidden = decoder(torch.tensor(ids[:-1]), [len(ids) - 1]).float()
        nats.append(float(nll(hidden, head, torch.tensor(ids[1:])).sum()))
        sizes.append(len(text.encode()))
        counts.append(len(ids) - 1)
    return TextNats(np.array(nats), np.array(sizes, np.int64), np.array(counts, np.int64))
