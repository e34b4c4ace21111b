"""The adapter's functions against PEFT's on the same weights, and what they keep for later."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seemant.models.frozen.build import frozen
from seemant.models.frozen.linear import FrozenLinear
from seemant.train.adapt import DoraLinear, Dropout, LoraLinear, adapt, row_squares
from seemant.train.lowrank import dora, lora, row_norms

OUT, IN, RANK, ROWS = 24, 40, 4, 11


def made(kind: str = "float32", *, bias: bool = True, seed: int = 0) -> tuple[FrozenLinear, Tensor]:
    """A frozen layer and the float weights that it stands for."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(OUT, IN, generator=generator) * 0.3
    b = torch.randn(OUT, generator=generator) if bias else None
    layer = FrozenLinear(frozen(kind, (OUT, IN), [w]), b)
    return layer, layer.weight(torch.float32).clone()


class One:
    """A decoder of one layer, as `adapt` sees it."""

    def __init__(self, layer: FrozenLinear) -> None:
        self.modules: dict[str, nn.Module] = {"q": layer}

    def linears(self) -> dict[str, nn.Module]:
        return self.modules

    def replace(self, name: str, module: nn.Module) -> None:
        self.modules[name] = module


def adapted(method: str, layer: FrozenLinear, dropout: Dropout | None = None) -> LoraLinear:
    module = adapt(One(layer), method, RANK, 8.0, seed=1, dropout=dropout)["q"]
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        module.lora_b.copy_(torch.randn(OUT, RANK, generator=generator) * 0.2)
        if isinstance(module, DoraLinear):
            module.magnitude.mul_(torch.rand(OUT, generator=generator) + 0.5)
    return module


def pefts(method: str, module: LoraLinear, w: Tensor, bias: Tensor | None) -> Any:
    """PEFT's adapter with the same numbers, on a plain linear layer."""
    from peft import LoraConfig, get_peft_model

    plain = nn.Linear(IN, OUT, bias=bias is not None)
    with torch.no_grad():
        plain.weight.copy_(w)
        if bias is not None:
            plain.bias.copy_(bias)
    config = LoraConfig(
        r=RANK,
        lora_alpha=8.0,
        target_modules=["q"],
        use_rslora=method == "rslora",
        use_dora=method == "dora",
    )
    model = get_peft_model(nn.Sequential(OrderedDict(q=plain)), config)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in module.learned().items():
            own[_theirs(name)].copy_(parameter)
    return model, own


def _theirs(name: str) -> str:
    stem = name.removesuffix(".weight")
    return f"base_model.model.q.{stem}.default.weight"


def relative(got: Tensor, want: Tensor) -> float:
    return float(((got - want).norm() / want.norm()).detach())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["float32", "int8", "int4"])
@pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
def test_output_and_every_gradient_equal_pefts(method: str, kind: str, bias: bool) -> None:
    layer, w = made(kind, bias=bias)
    module = adapted(method, layer)
    model, own = pefts(method, module, w, layer.bias)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(ROWS, IN, generator=generator)
    g = torch.randn(ROWS, OUT, generator=generator)
    mine_x, their_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    mine, reference = module(mine_x), model(their_x)
    assert relative(mine, reference) <= 1e-6
    mine.backward(g)
    reference.backward(g)
    assert relative(mine_x.grad, their_x.grad) <= 1e-6
    for name, parameter in module.learned().items():
        want = own[_theirs(name)].grad
        assert parameter.grad is not None and want is not None and want.abs().sum() > 0
        assert relative(parameter.grad, want) <= 1e-6, name


def test_the_backward_formulas_pass_gradcheck_in_float64() -> None:
    layer, _ = made()
    torch.manual_seed(0)
    x, a, b = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in [(5, IN), (RANK, IN), (OUT, RANK)]
    )
    assert torch.autograd.gradcheck(lambda x, a, b: lora(x, a, b, layer, 0.7), (x, a, b))
    drop = (0.4, 17)
    assert torch.autograd.gradcheck(lambda x, a, b: lora(x, a, b, layer, 0.7, drop), (x, a, b))


@pytest.mark.parametrize("drop", [None, (0.3, 5)])
def test_doras_gradients_are_autograds_with_the_norm_held_constant(
    drop: tuple[float, int] | None,
) -> None:
    layer, w = made()
    squares = row_squares(layer.matrix)
    torch.manual_seed(0)
    x, a, b, m = (
        torch.randn(shape, requires_grad=True)
        for shape in [(5, IN), (RANK, IN), (OUT, RANK), (OUT,)]
    )
    y = dora(x, a, b, m, squares, layer, 0.7, drop)
    g = torch.randn_like(y)
    got = torch.autograd.grad(y, (x, a, b, m), g)
    # The same written out, with the mask found by what the function itself drops of ones.
    dropped = x * _mask(x, drop)
    v = (w + 0.7 * b.detach() @ a.detach()).norm(dim=1)
    plain = (x @ w.T + 0.7 * dropped @ a.T @ b.T) * m / v + layer.bias
    want = torch.autograd.grad(plain, (x, a, b, m), g)
    assert relative(y, plain) <= 1e-6
    for mine, theirs in zip(got, want, strict=True):
        assert relative(mine, theirs) <= 1e-6


def _mask(x: Tensor, drop: tuple[float, int] | None) -> Tensor:
    if drop is None:
        return torch.ones_like(x)
    share, seed = drop
    kept = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) >= share
    return kept / (1 - share)


def test_row_norms_equal_those_of_the_matrix_written_out() -> None:
    layer, w = made("int4")
    torch.manual_seed(0)
    a, b = torch.randn(RANK, IN), torch.randn(OUT, RANK)
    got = row_norms(a, b, row_squares(layer.matrix), layer, 0.5)
    assert relative(got, (w + 0.5 * b @ a).norm(dim=1)) <= 1e-6


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_nothing_of_the_size_of_the_weights_or_the_output_is_kept(method: str, kind: str) -> None:
    layer, _ = made(kind)
    module = adapted(method, layer)
    saved: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    x = torch.randn(ROWS, IN, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        module(x)
    own = {x.data_ptr(), *(each.data_ptr() for each in module.parameters())}
    new = [tuple(tensor.shape) for tensor in saved if tensor.data_ptr() not in own]
    assert new == [(ROWS, RANK)] + ([(OUT,)] if method == "dora" else [])  # x Aᵀ, and the norms


def test_dropout_is_off_outside_a_step_and_a_pure_function_of_layer_step_and_micro_batch() -> None:
    drop = Dropout(share=0.5, seed=3)
    module = adapted("lora", made()[0], drop)
    x = torch.randn(ROWS, IN)
    plain = module(x)
    drop.at = (4, 1)
    first = module(x)
    assert not torch.equal(first, plain)
    assert torch.equal(module(x), first)
    drop.at = (4, 2)
    assert not torch.equal(module(x), first)
    drop.at = (4, 1)
    torch.manual_seed(77)  # the global generator plays no part
    assert torch.equal(module(x), first)
    drop.at = None
    assert torch.equal(module(x), plain)


def test_about_the_asked_share_is_dropped_and_the_rest_grows() -> None:
    x = torch.ones(200, IN)
    layer, w = made(bias=False)
    a, b = torch.eye(IN), torch.eye(OUT, IN)
    seen = lora(x, a, b, layer, 1.0, (0.25, 9)) - x @ w.T
    kept = (seen.abs() > 0.1).float().mean()
    assert 0.7 < float(kept) < 0.8
    assert float(seen.max()) == pytest.approx(4 / 3, rel=1e-4)
