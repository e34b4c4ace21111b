"""Bits per byte and useful operations, against sums written out and a model counted by hooks."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from seemant.core.records import Lang, Paragraph
from seemant.models.load import build
from seemant.train.pretrain.bits import bits_per_byte, bytes_a_token, unigram_nats
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.flops import matrix_weights, peak_flops, training_flops
from seemant.train.pretrain.shape import hf_config
from seemant.train.pretrain.vocabulary import byte_metadata, tokenizer_of
from seemant.train.pretrain.windows import Windows, windows_of

BYTES = tokenizer_of(byte_metadata())


def windows(n: int, lang: Lang = "en", context: int = 8) -> Windows:
    texts = [f"document {i} " * (1 + i % 3) for i in range(n)]
    some = [Paragraph(id=str(i), lang=lang, text=text) for i, text in enumerate(texts)]
    return windows_of(some, BYTES, context)


def test_a_model_that_gives_every_byte_one_bit_has_one_bit_a_byte() -> None:
    rows = windows(10)
    found = bits_per_byte([math.log(2) * row.n_answer for row in rows], rows)
    assert found["en"].value == pytest.approx(1.0)
    assert found["en"].low == found["en"].high == pytest.approx(1.0)
    assert bytes_a_token(rows) == {"en": 1.0}  # bytes are the tokens, the end is one of each


def test_control_tokens_written_in_a_text_count_as_their_bytes() -> None:
    some = [Paragraph(id="d", lang="en", text="a <|end|> b <|begin|>")]
    heldout = windows_of(some, tokenizer_of(byte_metadata()), 8)
    nats = [math.log(2) * length for length in heldout.lengths]  # one bit for each target
    assert bits_per_byte(nats, heldout)["en"].value == pytest.approx(1.0)
    assert bytes_a_token(heldout)["en"] == 1.0


def test_bits_per_byte_is_by_language_and_its_interval_by_document() -> None:
    some = [
        Paragraph(id=f"{lang}{i}", lang=lang, text="ab" * (1 + i))  # type: ignore[arg-type]
        for i in range(12)
        for lang in ("hi", "kn")
    ]
    rows = windows_of(some, BYTES, 6)
    rng = np.random.default_rng(0)
    nats = rng.uniform(1, 5, len(rows))
    found = bits_per_byte(nats, rows)
    assert list(found) == ["hi", "kn"]
    for lang in ("hi", "kn"):
        inside = [i for i, row in enumerate(rows) if row.lang == lang]
        n_bytes = sum(len(each.text) + 1 for each in some if each.lang == lang)
        wanted = sum(nats[i] for i in inside) / math.log(2) / n_bytes
        assert found[lang].value == pytest.approx(wanted)
        assert found[lang].n == found[lang].n_clusters == 12
        assert found[lang].low is not None and found[lang].low < wanted
    assert bits_per_byte(nats[:1], windows(1, context=99))["en"].low is None  # one document


def test_the_interval_covers_the_true_rate() -> None:
    rows = windows(30, context=64)
    rng = np.random.default_rng(1)
    size = rows.lengths.astype(float)
    hits = 0
    for _ in range(400):
        nats = rng.gamma(4, size / 4) * math.log(2)  # one bit a byte in the mean
        found = bits_per_byte(nats, rows)["en"]
        assert found.low is not None and found.high is not None
        hits += found.low <= 1.0 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_unigram_is_the_training_frequencies_with_one_more_each() -> None:
    train, heldout = windows(5), windows(3, context=5)
    counts = [1.0] * 258
    for row in train:
        for target in row.targets:
            counts[target] += 1
    total = sum(counts)
    wanted = [-sum(math.log(counts[t] / total) for t in row.targets) for row in heldout]
    np.testing.assert_allclose(unigram_nats(train, heldout, 258), wanted)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_useful_operations_are_those_of_the_matrices_as_torch_counts_them(family: str) -> None:
    """Torch counts the scores as whole squares, the masked half too: twice the useful work."""
    config = PretrainConfig.model_validate({"size": "0.1M", "family": family})
    model: Any = build(hf_config(config, BYTES)).to_empty(device="cpu").requires_grad_(True)
    torch.nn.init.zeros_(model.model.embed_tokens.weight)
    lengths, flops = [17, 64], 0
    for n in lengths:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            model(torch.zeros(1, n, dtype=torch.long)).logits.sum().backward()
        flops += counter.get_total_flops()
    attention = 6 * config.layers * config.heads * config.head_dim * sum(n * n for n in lengths)
    ours = training_flops(config, 258, lengths)
    assert ours == 6 * matrix_weights(config, 258) * sum(lengths) + attention
    assert flops == ours + attention


def test_the_peak_is_a_rate_that_a_product_reaches() -> None:
    torch.set_num_threads(1)
    peak = peak_flops("float32")
    assert 1e9 < peak < 1e13
