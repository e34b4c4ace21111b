"""Norm, rotation, gate and attention against plain loops and torch's own gradients."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seemant.models.decoder.attention import Segments, attention, by_sdpa
from seemant.models.decoder.gated import gated
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.rotary import RotaryTables, rotated
from seemant.models.decoder.shape import Rope


def test_a_norm_and_its_gradients_are_the_formula() -> None:
    x, weight, residual = _random(9, 20), _random(20), _random(9, 20)
    norm = RmsNorm(weight.detach().clone(), 1e-3, shift=1.0, trained=True)
    upstream = torch.randn(9, 20)

    def plain(x: Tensor, w: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * (1 + w)

    _same(norm(x), plain(x, weight), upstream, (x, norm.weight), (x, weight))
    _same(
        norm.added_to(residual, x),
        residual + plain(x, weight),
        upstream,
        (x, residual, norm.weight),
        (x, residual, weight),
    )
    frozen = RmsNorm(weight.detach(), 1e-3, shift=1.0, trained=False)
    assert not list(frozen.parameters()) and not frozen.state_dict()
    assert torch.equal(frozen(x), norm(x))


@pytest.mark.parametrize("normed", [True, False])
def test_a_rotation_and_its_gradients_are_the_formula(normed: bool) -> None:
    x, w = _random(7, 3, 8), _random(8)
    table = RotaryTables(8).rows(Rope(100.0), 0.5, [4, 3], torch.device("cpu"))
    upstream = torch.randn(7, 3, 8)
    positions = torch.tensor([0, 1, 2, 3, 0, 1, 2])

    def plain(x: Tensor, w: Tensor | None) -> Tensor:
        if w is not None:
            x = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * w
        angle = positions[:, None] * 100.0 ** (-torch.arange(0, 8, 2) / 8)
        turn = torch.polar(torch.tensor(0.5), angle)[:, None]  # halves as complex numbers
        turned = torch.complex(x[..., :4], x[..., 4:]) * turn
        return torch.cat((turned.real, turned.imag), -1)

    weight = w if normed else None
    inputs = (x, w) if normed else (x,)
    _same(rotated(x, table, weight, 1e-5), plain(x, weight), upstream, inputs, inputs)


def test_rotation_tables_grow_and_keep_what_they_said() -> None:
    tables, cpu = RotaryTables(8), torch.device("cpu")
    short = tables.rows(Rope(10.0), 1.0, [5], cpu)
    long = tables.rows(Rope(10.0), 1.0, [300], cpu)
    again = tables.rows(Rope(10.0), 1.0, [5], cpu)
    for a, b, c in zip(short, long, again, strict=True):
        assert torch.equal(a, b[:5]) and torch.equal(a, c)


@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
@pytest.mark.parametrize("rows", [3, 700])  # one piece, and several with a rest
def test_a_gate_and_its_gradients_are_the_formula(activation: str, rows: int) -> None:
    gate, up = _random(rows, 400), _random(rows, 400)
    with torch.no_grad():
        gate.mul_(4)
        gate[0, :4] = torch.tensor([-60.0, 60.0, 0.0, -8.0])  # saturated at both ends
    plain = F.silu(gate) if activation == "silu" else F.gelu(gate, approximate="tanh")
    _same(
        gated(gate, up, activation),  # type: ignore[arg-type]
        plain * up,
        torch.randn(rows, 400),
        (gate, up),
        (gate, up),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
def test_bfloat16_gates_are_rounded_once(activation: str, dtype: torch.dtype) -> None:
    gate, up = torch.randn(40, 64).to(dtype), torch.randn(40, 64).to(dtype)
    wide = gated(gate.float(), up.float(), activation)  # type: ignore[arg-type]
    got = gated(gate, up, activation)  # type: ignore[arg-type]
    steps = 2 if activation == "silu" else 1
    assert got.dtype == dtype
    assert ((got.float() - wide).abs() <= steps * torch.finfo(dtype).eps * wide.abs() + 1e-7).all()


@given(
    st.lists(st.integers(0, 150), min_size=1, max_size=4),
    st.sampled_from([(4, 1), (4, 2), (3, 3)]),
    st.sampled_from([None, 1, 7, 64, 100]),
    st.sampled_from([0, 256]),
)
def test_attention_is_the_plain_loop_and_torchs_kernel(
    lengths: list[int], heads: tuple[int, int], window: int | None, keep: int
) -> None:
    torch.manual_seed(sum(lengths))
    n, (n_q, n_kv) = sum(lengths), heads
    q, k, v = _random(n, n_q, 8), _random(n, n_kv, 8), _random(n, n_kv, 8)
    upstream = torch.randn(n, n_q * 8)
    got = attention(q, k, v, Segments.of(lengths, keep), window)
    _same(got, _loop(q, k, v, lengths, window), upstream, (q, k, v), (q, k, v))
    by_kernel = by_sdpa(q, k, v, Segments.of(lengths), window)
    torch.testing.assert_close(got, by_kernel, atol=2e-6, rtol=1e-5)


def test_rows_over_the_largest_number_of_blocks_are_attended_whole() -> None:
    """600 tokens: blocks of two times 64 rows."""
    q, k, v = _random(600, 2, 8), _random(600, 1, 8), _random(600, 1, 8)
    for window in (None, 130):
        got = attention(q, k, v, Segments.of([600]), window)
        _same(got, _loop(q, k, v, [600], window), torch.randn(600, 16), (q, k, v), (q, k, v))


@pytest.mark.parametrize("heads", [(4, 1), (4, 2)])
@pytest.mark.parametrize("keep", [0, 256])
def test_bfloat16_attention_is_as_exact_as_torchs_kernel(heads: tuple[int, int], keep: int) -> None:
    """Peaked weights: scores that were rounded to bfloat16 would fail this."""
    torch.manual_seed(0)
    sizes = ((200, heads[0], 64), (200, heads[1], 64), (200, heads[1], 64))
    exact = [torch.randn(*size).bfloat16().double().requires_grad_() for size in sizes]
    upstream = torch.randn(200, heads[0] * 64).bfloat16()

    def error(run: Callable[..., Tensor]) -> list[float]:
        inputs = [each.detach().bfloat16().requires_grad_() for each in exact]
        found = run(*inputs, Segments.of([200], keep), None)
        gradients = torch.autograd.grad(found, inputs, upstream)
        pairs = zip((found, *gradients), (wanted, *wanted_gradients), strict=True)
        return [float(((a - b).norm() / b.norm()).detach()) for a, b in pairs]

    wanted = _loop(*exact, [200], None)
    wanted_gradients = torch.autograd.grad(wanted, exact, upstream.double())
    for mine, theirs in zip(error(attention), error(by_sdpa), strict=True):
        assert mine <= 1.5 * theirs  # rounded scores: over 4 times


def _loop(q: Tensor, k: Tensor, v: Tensor, lengths: list[int], window: int | None) -> Tensor:
    sharing, outs, start = q.shape[1] // k.shape[1], [], 0
    for length in lengths:
        rows = slice(start, start + length)
        i, j = torch.arange(length)[:, None], torch.arange(length)
        hidden = (j > i) | (j <= i - (window or math.inf))
        for head in range(q.shape[1]):
            scores = q[rows, head] @ k[rows, head // sharing].T
            p = torch.softmax(scores.masked_fill(hidden, -torch.inf), -1)
            outs.append((rows, head, p @ v[rows, head // sharing]))
        start += length
    out = torch.zeros(q.shape, dtype=q.dtype)
    for rows, head, values in outs:
        out = out.index_put((torch.arange(rows.start, rows.stop), torch.tensor(head)), values)
    return out.flatten(1)


def _random(*size: int) -> Tensor:
    return torch.randn(*size).requires_grad_()


def _same(
    got: Tensor,
    wanted: Tensor,
    upstream: Tensor,
    inputs: tuple[Tensor, ...],
    plain_inputs: tuple[Tensor, ...],
) -> None:
    torch.testing.assert_close(got, wanted, atol=3e-6, rtol=1e-5)
    gradients = torch.autograd.grad(got, inputs, upstream, retain_graph=True)
    plain = torch.autograd.grad(wanted, plain_inputs, upstream)
    for one, other in zip(gradients, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
