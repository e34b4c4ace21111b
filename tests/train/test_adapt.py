"""Our LoRA against PEFT's on the same weights, and what it keeps for the backward pass."""

from typing import Any

import pytest
import torch
from torch import nn

from seemant.core.errors import InputError
from seemant.train.adapt import LoraLinear, _lora, adapt, trainable
from tests.train.tiny import tiny_gemma, tiny_llama

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peft_model(model: Any, rank: int, alpha: float) -> Any:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=ALL, task_type="CAUSAL_LM")
    )


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_outputs_and_all_gradients_equal_pefts(make: Any) -> None:
    ours, theirs = make(50), peft_model(make(50), 4, 8.0)
    adapters = adapt(ours, rank=4, alpha=8.0, seed=1)
    assert len(adapters) == 14  # seven linear layers in each of two blocks
    parameters = dict(theirs.named_parameters())
    with torch.no_grad():
        for name, module in adapters.items():
            module.lora_b.normal_(std=0.1)
            parameters[f"base_model.model.{name}.lora_A.default.weight"].copy_(module.lora_a)
            parameters[f"base_model.model.{name}.lora_B.default.weight"].copy_(module.lora_b)
    ids = torch.arange(12).view(2, 6)
    mine, reference = ours(input_ids=ids).logits, theirs(input_ids=ids).logits
    assert (mine - reference).norm() / reference.norm() <= 1e-6
    weights = torch.linspace(-1, 1, mine.numel()).view_as(mine)
    (mine * weights).sum().backward()
    (reference * weights).sum().backward()
    for name, module in adapters.items():
        for letter, mine_p in (("A", module.lora_a), ("B", module.lora_b)):
            want = parameters[f"base_model.model.{name}.lora_{letter}.default.weight"].grad
            assert want is not None and mine_p.grad is not None and want.any()
            assert (mine_p.grad - want).norm() / want.norm() <= 2e-6, f"{name} {letter}"


def test_the_backward_formulas_pass_gradcheck() -> None:
    torch.manual_seed(0)
    x, a, b, w, bias = (
        torch.randn(shape, dtype=torch.float64) for shape in [(5, 6), (2, 6), (4, 2), (4, 6), (4,)]
    )
    learned = tuple(t.requires_grad_() for t in (x, a, b))
    assert torch.autograd.gradcheck(lambda x, a, b: _lora(x, a, b, w, bias, 0.7), learned)


def test_a_fresh_adapter_changes_nothing() -> None:
    model = tiny_llama(50)
    ids = torch.arange(6).view(1, 6)
    before = model(input_ids=ids).logits
    adapt(model, rank=4, alpha=8.0, seed=0)
    assert torch.equal(model(input_ids=ids).logits, before)


def test_only_the_adapters_are_trained_and_the_tied_head_is_left_alone() -> None:
    model = tiny_llama(50)
    parameters = trainable(adapt(model, rank=3, alpha=8.0, seed=0))
    learned = {id(p) for p in model.parameters() if p.requires_grad}
    assert learned == {id(p) for p in parameters.values()}
    assert isinstance(model.lm_head, nn.Linear)
    d, ff, kv, r = 32, 48, 16, 3
    a_layer = r * ((d + d) + 2 * (d + kv) + (d + d) + 3 * (d + ff))
    assert sum(p.numel() for p in parameters.values()) == 2 * a_layer


def test_no_float_weight_is_copied_for_the_backward_pass() -> None:
    layer = LoraLinear(nn.Linear(64, 48, bias=False), 4, 2.0, torch.Generator())
    layer.base.requires_grad_(False)
    saved: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    x = torch.randn(10, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(x)
    own = {x.data_ptr(), layer.lora_a.data_ptr(), layer.lora_b.data_ptr()}
    own.add(layer.base.weight.data_ptr())
    new = [tensor for tensor in saved if tensor.data_ptr() not in own]
    assert [tuple(tensor.shape) for tensor in new] == [(10, 4)]  # x Aᵀ alone


def test_the_start_depends_on_the_seed_and_the_layer_only() -> None:
    first, again = adapt(tiny_llama(50), 4, 8.0, seed=3), adapt(tiny_llama(50, 9), 4, 8.0, seed=3)
    other = adapt(tiny_llama(50), 4, 8.0, seed=4)
    starts = {name: module.lora_a for name, module in first.items()}
    assert all(torch.equal(start, again[name].lora_a) for name, start in starts.items())
    assert not any(torch.equal(start, other[name].lora_a) for name, start in starts.items())
    assert len({float(start.detach().sum()) for start in starts.values()}) == len(starts)


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(InputError, match="no linear layer"):
        adapt(nn.Sequential(nn.Linear(3, 3)), 2, 4.0, 0)
