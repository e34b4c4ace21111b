"""The divergence by slices of the vocabulary equals the one from whole rows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seemant.probe import vocabulary
from seemant.probe.divergence import TokenDivergence, rows_divergence
from seemant.probe.vocabulary import Given, Head, divergences, recut

N, D, V = 9, 6, 700
SOFTCAP = 20.0


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several slices, although the vocabulary is small."""
    monkeypatch.setattr(vocabulary, "_LEAST", 64)
    monkeypatch.setattr(vocabulary, "_CELLS", 100 * N)


def _head(seed: int, softcap: float | None = None) -> tuple[Head, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(V, D, generator=generator) * 3
    hidden = torch.randn(N, D, generator=generator)
    return Head(V, lambda: iter(torch.split(matrix, 37)), softcap), hidden


def _log_softmax(source: tuple[Head, Tensor]) -> Tensor:
    head, hidden = source
    logits = hidden @ torch.cat(list(head.blocks())).T
    if head.softcap:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    return torch.log_softmax(logits.double(), -1)


def _close(found: TokenDivergence, expected: TokenDivergence) -> None:
    np.testing.assert_array_equal(found.top1, expected.top1)
    for name in ("kld", "dnll", "nll_ref"):
        wanted = getattr(expected, name)
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-5, atol=1e-5)


@given(st.integers(0, 50), st.sampled_from([None, SOFTCAP]))
def test_slices_give_what_whole_rows_give(seed: int, softcap: float | None) -> None:
    reference, other = _head(seed, softcap), _head(seed + 1, softcap)
    targets = np.random.default_rng(seed).integers(0, V, N).tolist()
    p, q = _log_softmax(reference), _log_softmax(other)
    logits = (q + 7.5).float().numpy()  # an engine's logits are known up to a constant
    found = divergences(
        reference, {"weights": other, "deployed": Given([logits[:4], logits[4:]])}, targets
    )
    expected = rows_divergence(p.float().numpy(), q.float().numpy(), targets)
    _close(found["weights"], expected)
    _close(found["deployed"], expected)
    by_hand = (p.exp() * (p - q)).sum(1).numpy()
    np.testing.assert_allclose(found["weights"].kld, by_hand, rtol=2e-6, atol=1e-6)


def test_equal_logits_do_not_diverge_at_all() -> None:
    same = _head(3)
    found = divergences(same, {"same": same}, [0] * N)["same"]
    assert (found.kld == 0).all() and (found.dnll == 0).all() and (found.top1 == 1).all()


def test_given_logits_stay_as_they_are() -> None:
    logits = np.zeros((N, V), np.float32)
    divergences(_head(0), {"flat": Given([logits])}, [0] * N)
    assert not logits.any()


def test_vocabularies_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="vocabularies of 700 and, for other, 5 tokens"):
        divergences(_head(0), {"other": Given([np.zeros((N, 5), np.float32)])}, [0] * N)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_cutting_again_keeps_all_rows_in_order(sizes: list[int], step: int) -> None:
    rows = torch.arange(sum(sizes))[:, None]
    cut = list(recut(torch.split(rows, sizes), step))
    assert [len(each) for each in cut[:-1]] == [step] * (len(cut) - 1)
    assert all(1 <= len(each) <= step for each in cut)
    assert torch.equal(torch.cat(cut) if cut else rows[:0], rows)
