"""The streamed loss equals the plain one, to rounding, in every case that ever went wrong."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from seemant.models.frozen.build import frozen
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch
from seemant.train.loss import rest
from seemant.train.loss.head import head_stats, streamed_cross_entropy, streamed_losses
from seemant.train.loss.stream import Reading
from tests.train.losses import inputs, logits, relative, upstream, with_gradient


def plain(h: Tensor, targets: Tensor, weight: Tensor, **how: float) -> tuple[Tensor, Tensor]:
    """Loss a row and gradient, through full logits in float64."""
    smoothing, z_loss = how.pop("smoothing", 0.0), how.pop("z_loss", 0.0)

    def loss_of(x: Tensor) -> Tensor:
        u = logits(x, weight, **how)  # type: ignore[arg-type]
        loss = cross_entropy(
            u, targets, reduction="none", ignore_index=-100, label_smoothing=smoothing
        )
        return loss + z_loss * u.logsumexp(-1).square() * (targets >= 0)

    return with_gradient(loss_of, h.double())


def streamed(h: Tensor, targets: Tensor, weight: Tensor, block: int) -> tuple[Tensor, Tensor]:
    return with_gradient(lambda x: streamed_cross_entropy(x, targets, weight, block), h)


@pytest.mark.parametrize("m", [1, 5, 24])
@pytest.mark.parametrize("peaked", [False, True])
def test_at_gemmas_vocabulary_it_equals_full_logits(m: int, peaked: bool) -> None:
    h, targets, weight = inputs(m, 262_144, 32, size=3.0 if peaked else 0.1)
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=8192)
    assert relative(got, want) <= 1e-6
    assert relative(gradient, want_gradient) <= 1e-5
    if peaked:
        top = torch.softmax(h @ weight.T, -1).amax(-1)
        assert top.mean() > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("m", [128, 300])
@pytest.mark.parametrize("peaked", [False, True])
@pytest.mark.parametrize("softcap", [None, 30.0])
def test_at_gemmas_vocabulary_many_rows_and_all_extensions_hold(
    m: int, peaked: bool, softcap: float | None
) -> None:
    h, targets, weight = inputs(m, 262_144, 32, size=3.0 if peaked else 0.1)
    how = {"smoothing": 0.1, "z_loss": 1e-3, "softcap": softcap}
    parts = list(zip(h.split(50), targets.split(50), strict=True))
    want = [plain(x, y, weight, **how)[0] for x, y in parts]  # type: ignore[arg-type]
    got = streamed_cross_entropy(h, targets, weight, 8000, **how)  # type: ignore[arg-type]
    assert relative(got, torch.cat(want)) <= 1e-6
    x, y = parts[-1]
    _, want_gradient = plain(x, y, weight, **how)  # type: ignore[arg-type]
    _, gradient = with_gradient(
        lambda x: streamed_cross_entropy(x, y, weight, 8000, **how),  # type: ignore[arg-type]
        x,
    )
    assert relative(gradient, want_gradient) <= 1e-5


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 6), vocab=st.integers(1, 60), block=st.integers(1, 70))
def test_in_float64_it_is_exact_for_every_block_size(m: int, vocab: int, block: int) -> None:
    h, targets, weight = inputs(m, vocab, 7, size=1.0, dtype=torch.float64)
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 4),
    vocab=st.integers(2, 40),
    block=st.integers(1, 45),
    scale=st.sampled_from([1.0, 0.3, 2.0]),
    softcap=st.sampled_from([None, 2.0, 30.0]),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    z_loss=st.sampled_from([0.0, 1e-2]),
)
def test_every_extension_and_all_of_them_together_equal_autograd(
    m: int,
    vocab: int,
    block: int,
    scale: float,
    softcap: float | None,
    smoothing: float,
    z_loss: float,
) -> None:
    h, targets, weight = inputs(m, vocab, 5, size=1.5, dtype=torch.float64)
    how = {"scale": scale, "softcap": softcap, "smoothing": smoothing, "z_loss": z_loss}
    want, want_gradient = plain(h, targets, weight, **how)  # type: ignore[arg-type]
    got, gradient = with_gradient(
        lambda x: streamed_cross_entropy(x, targets, weight, block, **how),  # type: ignore[arg-type]
        h,
    )
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-11, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 20),
    vocab=st.integers(2, 40),
    block=st.integers(1, 45),
    softcap=st.sampled_from([None, 2.0]),
    smoothing=st.sampled_from([0.0, 0.2]),
    z_loss=st.sampled_from([0.0, 1e-2]),
)
def test_a_trained_head_gets_autograds_gradient(
    m: int, vocab: int, block: int, softcap: float | None, smoothing: float, z_loss: float
) -> None:
    h, targets, weight = inputs(m, vocab, 5, size=1.5, dtype=torch.float64)
    how = {"softcap": softcap, "smoothing": smoothing, "z_loss": z_loss}
    mine, theirs = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    _, gradient = with_gradient(
        lambda x: streamed_cross_entropy(x, targets, mine, block, **how),  # type: ignore[arg-type]
        h,
    )
    _, want_gradient = plain(h, targets, theirs, **how)  # type: ignore[arg-type]
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-11, atol=1e-12)


def test_a_tied_and_trained_head_adds_its_gradient_to_the_embeddings() -> None:
    h, targets, weight = inputs(6, 30, 8, size=1.0)
    ids = torch.tensor([1, 5, 5, 7, 0, 29])
    found = []
    for loss_of in (
        lambda x, w: streamed_cross_entropy(x, targets, w, 8),
        lambda x, w: cross_entropy(x @ w.T, targets, reduction="none"),
    ):
        tied = weight.clone().requires_grad_()
        loss_of(torch.nn.functional.embedding(ids, tied) + h, tied).mean().backward()
        assert tied.grad is not None
        found.append(tied.grad)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("block", [16, 4096])
def test_a_trained_float32_head_beside_bfloat16_rows_gets_a_float32_gradient(block: int) -> None:
    h, targets, weight = inputs(40, 64, 16, size=0.5)
    mine, theirs = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    streamed_cross_entropy(h.bfloat16(), targets, mine, block).mean().backward()
    cross_entropy(h.bfloat16().float() @ theirs.T, targets).backward()
    assert mine.grad is not None and theirs.grad is not None
    assert mine.grad.dtype == torch.float32
    assert relative(mine.grad, theirs.grad) <= 1e-2


def test_only_what_asks_for_a_gradient_gets_one() -> None:
    h, targets, weight = inputs(5, 30, 8, size=1.0)
    weight.requires_grad_()
    streamed_cross_entropy(h, targets, weight, 8).sum().backward()
    assert weight.grad is not None
    want = weight.grad.clone()
    weight.grad = None
    x = h.clone().requires_grad_()
    streamed_cross_entropy(x, targets, weight, 8).sum().backward()
    torch.testing.assert_close(weight.grad, want)
    with torch.no_grad():
        assert not streamed_cross_entropy(x, targets, weight, 8).requires_grad


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8", "int4"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_frozen_head_of_any_kind_equals_the_matrix_that_it_stands_for(
    kind: str, dtype: torch.dtype
) -> None:
    h, targets, weight = inputs(20, 300, 64, size=0.4)
    head = frozen(kind, (300, 64), [weight])
    whole = head.dequantised(torch.float32)
    h = h.to(dtype)
    want, want_gradient = plain(h, targets, whole, smoothing=0.1)
    for scratch in (None, Scratch()):
        got, gradient = with_gradient(
            lambda x, scratch=scratch: streamed_cross_entropy(  # type: ignore[misc]
                x, targets, head, 64, smoothing=0.1, scratch=scratch
            ),
            h,
        )
        # In bfloat16 the head itself is rounded where it is not bfloat16 already.
        assert relative(got, want) <= (1e-6 if dtype == torch.float32 else 1e-3)
        assert relative(gradient, want_gradient) <= (2e-6 if dtype == torch.float32 else 6e-3)


def test_of_a_head_in_another_type_only_one_block_exists_at_a_time() -> None:
    h, targets, weight = inputs(4, 4096, 16, size=0.4)
    head, seen = frozen("int8", (4096, 16), [weight]), []
    factored = FrozenMatrix.factored

    class Watched(type(head)):  # type: ignore[misc]
        def factored(self, start: int, stop: int, *rest: object) -> object:
            seen.append(stop - start)
            return super().factored(start, stop, *rest)

    assert factored is not None
    head.__class__ = Watched
    scratch = Scratch()
    streamed_cross_entropy(h, targets, head, 100, scratch=scratch)
    assert max(seen) == 100 and sum(seen) == 4096
    assert scratch.n_bytes == 100 * 16 * 4


def test_ignored_rows_cost_nothing_and_get_no_gradient() -> None:
    h, targets, weight = inputs(6, 50, 8, size=1.0)
    targets[[0, 3]] = -100
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=16)
    torch.testing.assert_close(got, want.float(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, want_gradient.float(), rtol=1e-5, atol=1e-6)
    assert got[0] == 0 and not gradient[3].any()


@pytest.mark.parametrize("n", [0, 3])
def test_no_row_at_all_is_a_differentiable_zero(n: int) -> None:
    h = torch.ones(n, 8, requires_grad=True)
    weight = torch.ones(50, 8, requires_grad=True)
    nothing = torch.full((n,), -100)
    loss = streamed_cross_entropy(h, nothing, weight, 16, smoothing=0.1).sum()
    loss.backward()
    assert loss == 0
    assert h.grad is not None and not h.grad.any()
    assert weight.grad is not None and not weight.grad.any()


def test_a_logit_of_ten_thousand_does_not_overflow() -> None:
    h = torch.tensor([[1e4, 0.0], [-1e4, 1.0]])
    weight = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [-1.0, 2.0]])
    for targets in (torch.tensor([1, 0]), torch.tensor([3, 1])):
        want, want_gradient = plain(h, targets, weight)
        got, gradient = streamed(h, targets, weight, block=1)
        torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=1e-3)
        torch.testing.assert_close(gradient.double(), want_gradient, rtol=1e-5, atol=1e-5)


def test_without_the_rescaling_it_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    h, targets, weight = inputs(4, 50, 8, size=1.0)
    want, want_gradient = plain(h, targets, weight)
    monkeypatch.setattr(rest, "rescale", lambda old, new: (old > -1e30).to(old.dtype))
    got, gradient = streamed(h, targets, weight, block=16)
    assert relative(got, want) > 1e-3
    assert relative(gradient, want_gradient) > 1e-3


def test_a_loss_near_zero_is_exact_where_plain_float32_says_nothing() -> None:
    # u_y = 18 above 49 others: the loss is 7.5e-7, which lse - u_y in float32 rounds away.
    h = torch.zeros(1, 8)
    h[0, 0] = 18.0
    weight = torch.zeros(50, 8)
    weight[7, 0] = 1.0
    targets = torch.tensor([7])
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=16)
    assert 7e-7 < want < 8e-7
    assert relative(got, want) <= 1e-5
    assert relative(gradient, want_gradient) <= 1e-5
    x = h.clone().requires_grad_()
    full = cross_entropy(x @ weight.T, targets)
    full.backward()
    assert x.grad is not None
    assert relative(x.grad, want_gradient) > 1e-2


def test_gradcheck_agrees_in_float64() -> None:
    h, targets, weight = inputs(3, 11, 4, size=1.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, w: streamed_cross_entropy(x, targets, w, 4, smoothing=0.1, z_loss=0.01),
        (h.requires_grad_(), weight.requires_grad_()),
    )


def test_exact_bfloat16_leaves_only_the_gradients_own_rounding() -> None:
    h, targets, weight = inputs(16, 4096, 64, size=0.3)
    h, weight = h.bfloat16(), weight.bfloat16()
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=512)
    assert got.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    assert relative(got, want) <= 1e-5
    assert relative(gradient, want_gradient) <= 4e-3


def test_fast_bfloat16_errs_no_more_than_full_bfloat16_logits() -> None:
    h, targets, weight = inputs(16, 4096, 64, size=0.3)
    h, weight = h.bfloat16(), weight.bfloat16()
    want, want_gradient = plain(h, targets, weight)
    got, gradient = with_gradient(
        lambda x: streamed_cross_entropy(x, targets, weight, 512, exact=False), h
    )
    x = h.clone().requires_grad_()
    full = cross_entropy((x @ weight.T).float(), targets, reduction="none")
    (full * upstream(16)).sum().backward()
    assert x.grad is not None
    assert 1e-4 < relative(got, want) <= 1.5 * max(relative(full.detach(), want), 1e-3)
    assert relative(gradient, want_gradient) <= 1.5 * relative(x.grad, want_gradient)


@pytest.mark.parametrize("block", [7, 64])
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_the_statistics_are_those_of_full_logits(block: int, softcap: float | None) -> None:
    h, targets, weight = inputs(12, 64, 8, size=1.5)
    u = logits(h, weight, softcap=softcap)
    targets[:6] = u[:6].argmax(1)
    stats = head_stats(h, targets, weight, Reading(block, softcap=softcap))
    p = u.softmax(1)
    torch.testing.assert_close(
        stats.entropy.double(), torch.special.entr(p).sum(1), rtol=1e-5, atol=1e-6
    )
    assert torch.equal(stats.best, u.argmax(1))
    assert torch.equal(stats.correct, u.argmax(1) == targets)


_PEAK = """
import ctypes, sys, torch
from pathlib import Path
from seemant.core.memory import peak_bytes, resident_bytes
from seemant.models.frozen.build import frozen
from seemant.train.loss.head import streamed_cross_entropy
torch.set_num_threads(1)
kind, dtype = sys.argv[1], getattr(torch, sys.argv[2])
head = frozen(kind, (262_144, 640), (torch.randn(8192, 640) * 0.05 for _ in range(32)))
small = frozen(kind, (64, 640), [torch.randn(64, 640)])
h = torch.randn(128, 640, dtype=dtype, requires_grad=True)
y = torch.randint(262_144, (128,))
streamed_cross_entropy(h, y % 64, small, 64).sum().backward()  # libraries
ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, at what is resident
before = resident_bytes()
streamed_cross_entropy(h, y, head, 8192).sum().backward()
print((peak_bytes() - before) / 1e6)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
@pytest.mark.parametrize(
    ("kind", "dtype"), [("float32", "float32"), ("bfloat16", "bfloat16"), ("int8", "bfloat16")]
)
def test_the_loss_of_gemmas_vocabulary_takes_at_most_40_megabytes(kind: str, dtype: str) -> None:
    command = [sys.executable, "-c", _PEAK, kind, dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 4 < float(done.stdout) <= 40  # 4: one block of logits; all of them would be 134


@pytest.mark.parametrize("kind", ["float32", "int8", "int4"])
@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_cap_and_smoothing_together_are_right_on_every_kind_of_head(
    kind: str, softcap: float | None, smoothing: float
) -> None:
    h, targets, weight = inputs(9, 128, 64, size=0.4)
    head = frozen(kind, (128, 64), [weight])
    whole = head.dequantised(torch.float32)
    how = {"softcap": softcap, "smoothing": smoothing}
    want, want_gradient = plain(h, targets, whole, **how)  # type: ignore[arg-type]
    got, gradient = with_gradient(
        lambda x: streamed_cross_entropy(x, targets, head, 50, **how),  # type: ignore[arg-type]
        h,
    )
    assert relative(got, want) <= 1e-6
    assert relative(gradient, want_gradient) <= 5e-6


def test_the_plain_cross_entropy_comes_beside_what_is_minimised() -> None:
    h, targets, weight = inputs(6, 50, 8, size=1.0)
    targets[2] = -100
    how = {"smoothing": 0.2, "z_loss": 0.1, "softcap": 4.0}
    total, nats = streamed_losses(h, targets, weight, 16, **how)  # type: ignore[arg-type]
    u = logits(h, weight, softcap=4.0)
    want = cross_entropy(u, targets, reduction="none", ignore_index=-100)
    torch.testing.assert_close(nats, want.float())
    assert not nats.requires_grad
    torch.testing.assert_close(total, plain(h, targets, weight, **how)[0].float())
