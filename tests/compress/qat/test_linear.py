"""A layer on a grid: what it multiplies by is what is packed, whatever was trained."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seemant.compress.methods.quantised import Quantised
from seemant.compress.qat.grid_matrix import Codes, GridMatrix
from seemant.compress.qat.latent import FullLatent, inside_cells
from seemant.compress.qat.linear import QatLinear
from seemant.compress.qat.lora import LoraLatent
from seemant.compress.qat.lsq import half, nearest
from seemant.formats.tensor_format import (
    fit_format,
    format_of,
    pack_format,
    snap_format,
    unpack_format,
    value_format,
)

FORMATS = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "int3-sym-g32", "int4-sym-g64", "int4-asym-g64"]
ROWS, COLUMNS = 6, 128


@pytest.mark.parametrize("mode", ["scales", "full", "lora"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_packed_bytes_hold_the_values_of_the_forward_bit_for_bit(name: str, mode: str) -> None:
    layer = _shaken(_layer(name, mode))
    x = torch.eye(COLUMNS)
    used = layer(x).T.detach()
    format = format_of(name)
    codes, params = layer.codes().quantised()
    stored = value_format(*unpack_format(pack_format(codes, params, format), format))
    assert np.abs(stored - used.numpy()).max() == 0
    np.testing.assert_array_equal(stored, layer.rounded().numpy())
    assert format.simulated == name.startswith("int3")


@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_latent_starts_in_the_cells_of_codes_that_are_not_the_nearest(
    name: str, mode: str
) -> None:
    codes = _codes(name, wrong=True)
    assert (_codes(name).n != codes.n).float().mean() > 0.1
    layer = _layer(name, mode, codes=codes)
    assert torch.equal(layer.codes().n, codes.n)
    assert torch.equal(layer.rounded(), codes.values())


@pytest.mark.parametrize("mode", ["scales", "full", "lora"])
@pytest.mark.parametrize("name", ["q4_0", "q4_1"])
def test_gradients_equal_those_of_autograd_through_a_straight_through_rounding(
    name: str, mode: str
) -> None:
    layer = _shaken(_layer(name, mode))
    x = torch.randn(5, COLUMNS, generator=torch.Generator().manual_seed(1), requires_grad=True)
    up = torch.randn(5, ROWS, generator=torch.Generator().manual_seed(2))
    (layer(x) * up).sum().backward()
    found = {key: each.grad.clone() for key, each in layer.named_parameters()}
    of_x, x.grad = x.grad, None
    layer.zero_grad()
    (x @ _naive(layer).T * up).sum().backward()
    torch.testing.assert_close(x.grad, of_x, rtol=1e-4, atol=1e-5)
    for key, each in layer.named_parameters():
        factor = layer.factor if key in ("scale", "offset") else 1
        assert float(each.grad.abs().max()) > 0
        torch.testing.assert_close(found[key], each.grad * factor, rtol=2e-4, atol=2e-5)


def test_weights_that_feedback_moved_far_do_not_all_begin_at_one_distance_from_a_border() -> None:
    codes = _codes("q4_0", wrong=True)
    inside = inside_cells(torch.from_numpy(_weights()), codes, 0.5)
    lean = ((inside - codes.values()).view_as(codes.n) / codes.d).abs().flatten()
    assert float(lean.max()) <= 0.25 + 1e-5
    assert int(lean.unique().numel()) > 0.9 * lean.numel()


def test_held_codes_do_not_change_while_their_weights_and_scales_do() -> None:
    layer = _layer("q4_0", "full")
    before = layer.codes().n
    which = torch.rand(before.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    layer.hold(which)
    _shaken(layer, 0.3)
    after = layer.codes().n
    assert torch.equal(after[which], before[which])
    assert (after[~which] != before[~which]).any()
    assert not torch.equal(layer.rounded(), layer.codes()._replace(d=layer.d0).values())


def test_the_codes_of_scales_mode_are_those_that_were_given() -> None:
    codes = _codes("q4_1", wrong=True)
    layer = _shaken(_layer("q4_1", "scales", codes=codes))
    assert torch.equal(layer.codes().n, codes.n)
    assert not torch.equal(layer.codes().d, codes.d)


def test_a_low_rank_change_ends_up_in_the_codes() -> None:
    layer = _layer("q4_0", "lora")
    before = layer.codes().n
    _shaken(layer, 1.0)
    assert (layer.codes().n != before).any()
    assert isinstance(layer.latent, LoraLatent)
    assert sum(each.numel() for each in layer.latent.trained()) == 2 * (ROWS + COLUMNS)


def test_a_group_of_zeros_stays_zero_and_its_gradient_finite() -> None:
    w = np.zeros((ROWS, COLUMNS), np.float32)
    params = fit_format(w, format_of("q4_0"))
    layer = _layer("q4_0", "full", codes=Codes.of(Quantised(snap_format(w, params), params)))
    layer(torch.ones(2, COLUMNS)).sum().backward()
    assert all(bool(each.grad.isfinite().all()) for each in layer.parameters())
    assert float(layer.rounded().abs().max()) == 0


def test_a_grid_matrix_is_a_frozen_matrix_of_the_file_s_values() -> None:
    codes = _codes("q8_0")
    matrix, whole = GridMatrix(codes), codes.values()
    assert torch.equal(matrix.dequantised(torch.float32), whole)
    assert torch.equal(matrix.rows(2, 4, torch.float32), whole[2:4])
    ids = torch.tensor([3, 0, 3])
    assert torch.equal(matrix.gather(ids, torch.float32), whole[ids])
    assert matrix.n_bytes == codes.n.nbytes + codes.d.nbytes


def _weights() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((ROWS, COLUMNS)).astype(np.float32)


def _codes(name: str, *, wrong: bool = False) -> Codes:
    """Nearest codes, or some of them a step off, as error feedback leaves them."""
    params = fit_format(_weights(), format_of(name))
    codes = snap_format(_weights(), params)
    if wrong:
        off = np.random.default_rng(6).integers(-1, 2, codes.shape)
        codes = np.clip(codes + off, params.grid.lowest, params.grid.highest).astype(np.int16)
    return Codes.of(Quantised(codes, params))


def _layer(name: str, mode: str, *, codes: Codes | None = None) -> QatLinear:
    codes = _codes(name) if codes is None else codes
    inside = inside_cells(torch.from_numpy(_weights()), codes, 0.8)
    if mode == "scales":
        return QatLinear(codes)
    if mode == "full":
        return QatLinear(codes, latent=FullLatent(inside))
    unit = float(codes.d.abs().mean())
    return QatLinear(codes, latent=LoraLatent(inside, 2, unit, seed=0, name="x"))


def _shaken(layer: QatLinear, size: float = 0.05) -> QatLinear:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for each in layer.parameters():
            each.add_(torch.randn(each.shape, generator=generator) * size)
    return layer


def _naive(layer: QatLinear) -> Tensor:
    """Return Ŵ as plain autograd sees it, every rounding's derivative that of the identity."""
    d = layer.d0 * (1 + layer.scale)
    d = d + (half(d) - d).detach()
    m = torch.zeros_like(d)
    if layer.m0 is not None and layer.offset is not None:
        m = layer.m0 + layer.d0.abs() * layer.offset
        m = m + (half(m) - m).detach()
    if layer.latent is None:
        q = layer.fixed.float() + layer.grid.lowest
        return (d * q + m).flatten(1)
    if isinstance(layer.latent, LoraLatent):
        w = layer.latent.start + layer.latent.unit * layer.latent.b @ layer.latent.a
    else:
        (w,) = layer.latent.trained()
    x = (w.view(layer.fixed.shape) - m) / d
    clipped = x.clamp(layer.grid.lowest, layer.grid.highest)
    q = nearest(
        w.detach().view(layer.fixed.shape),
        d.detach(),
        None if layer.m0 is None else m.detach(),
        layer.grid,
    )
    return (d * (clipped + (q - clipped).detach()) + m).flatten(1)
