"""The frozen linear layer: against a float layer of the same weights, and what it saves."""

import pytest
import torch
from torch import Tensor, nn

from seemant.models.frozen.build import frozen
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.frozen.scratch import Scratch


def layer_of(kind: str, out: int, inside: int, *, bias: bool = False) -> FrozenLinear:
    matrix = frozen(kind, (out, inside), [torch.randn(out, inside) * 0.1])
    return FrozenLinear(matrix, torch.randn(out) if bias else None)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(48, 64), (64, 192)])
def test_forward_and_gradient_are_those_of_a_float_layer_with_the_dequantised_weights(
    kind: str, shape: tuple[int, int], bias: bool
) -> None:
    layer = layer_of(kind, *shape, bias=bias)
    plain = nn.Linear(shape[1], shape[0], bias=bias)
    plain.weight.data.copy_(layer.matrix.dequantised(torch.float32))
    if bias:
        assert layer.bias is not None
        plain.bias.data.copy_(layer.bias)
    x = torch.randn(17, shape[1])
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    g = torch.randn(17, shape[0])
    y, expected = layer(ours), plain(theirs)
    y.backward(g)
    expected.backward(g)
    assert ours.grad is not None and theirs.grad is not None
    assert (y - expected).norm() <= 1e-6 * expected.norm()
    assert (ours.grad - theirs.grad).norm() <= 1e-6 * theirs.grad.norm()


def test_the_gradient_passes_gradcheck_in_double_precision(kind: str) -> None:
    layer = layer_of(kind, 6, 64, bias=True)
    x = torch.randn(3, 64, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_tensor_is_saved_for_backward(kind: str, dtype: torch.dtype) -> None:
    layer = layer_of(kind, 48, 64)
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    x = torch.randn(5, 64, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = layer(x)
    assert saved == []
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == dtype


def test_the_hook_of_that_test_sees_a_plain_layer_save_its_weight() -> None:
    plain = nn.Linear(64, 48).requires_grad_(False)
    shapes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: shapes.append(tuple(tensor.shape)), lambda _: torch.empty(0)
    ):
        plain(torch.randn(5, 64, requires_grad=True))
    assert (64, 48) in shapes or (48, 64) in shapes


@pytest.mark.parametrize("keep_bytes", [0, 128 * 64 * 4, 1 << 20], ids=["none", "one", "all"])
def test_layers_that_share_a_scratch_do_not_disturb_each_other(kind: str, keep_bytes: int) -> None:
    scratch = Scratch(keep_bytes)
    layers = []
    for out, inside in ((128, 64), (64, 128)):
        matrix = frozen(kind, (out, inside), [torch.randn(out, inside) * 0.1])
        layers.append(FrozenLinear(matrix, scratch=scratch))
    first, second = layers
    x = torch.randn(5, 64, requires_grad=True)
    second(torch.relu(first(x))).sum().backward()
    w1, w2 = (each.matrix.dequantised(torch.float32).clone() for each in layers)
    other = x.detach().clone().requires_grad_()
    (torch.relu(other @ w1.T) @ w2.T).sum().backward()
    assert x.grad is not None and other.grad is not None
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-5, atol=1e-6)
    assert scratch.n_bytes == (0 if kind == "float32" else keep_bytes or 64 * 128 * 4)


def test_gradients_survive_recomputation(kind: str) -> None:
    from torch.utils.checkpoint import checkpoint

    layer = layer_of(kind, 64, 64)
    x = torch.randn(5, 64, requires_grad=True)
    layer(torch.tanh(layer(x))).sum().backward()
    assert x.grad is not None
    direct = x.grad.clone()
    x.grad = None
    y = checkpoint(lambda t: layer(torch.tanh(layer(t))), x, use_reentrant=False)
    assert isinstance(y, Tensor)
    y.sum().backward()
    assert torch.equal(x.grad, direct)


def test_the_weight_view_is_the_dequantised_matrix(kind: str) -> None:
    layer = layer_of(kind, 5, 64)
    for dtype in (torch.float32, torch.bfloat16):
        assert torch.equal(layer.weight(dtype), layer.matrix.dequantised(dtype))
    assert (layer.out_features, layer.in_features) == (5, 64)


def test_a_bias_stays_float32_and_is_no_parameter(kind: str) -> None:
    layer = layer_of(kind, 5, 64, bias=True).bfloat16()
    assert layer.bias is not None and layer.bias.dtype == torch.float32
    assert list(layer.parameters()) == [] and layer.state_dict() == {}


def test_no_large_tensor_is_made_beside_the_scratch(kind: str) -> None:
    from torch.profiler import ProfilerActivity, profile

    layer = layer_of(kind, 2048, 1024)
    x = torch.randn(4, 1024, dtype=torch.bfloat16, requires_grad=True)
    layer(x).sum().backward()  # the scratch has its size now
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        layer(x).sum().backward()
    largest = max(event.cpu_memory_usage for event in record.events())
    whole = 2048 * 1024 * 2  # bytes of the float weight in bfloat16
    assert largest < whole * 0.7
