"""The decoder as a thing to train on: names, replacing, checkpointing."""

import pytest
import torch
from torch import Tensor, nn

from seemant.core.errors import BadConfig
from seemant.models.decoder.trainable import trainable_decoder
from tests.models.decoder.variants import VARIANTS, hf_model, hf_state, ours, some_ids


@pytest.mark.parametrize("name", VARIANTS)
def test_linears_have_the_names_and_sizes_of_transformers(name: str) -> None:
    model = hf_model(name)
    wanted = {
        each: tuple(module.weight.shape)
        for each, module in model.named_modules()
        if isinstance(module, nn.Linear) and each != "lm_head"
    }
    decoder = ours(model)
    assert decoder.shape.linears() == wanted
    assert sorted(decoder.linears()) == sorted(wanted)
    assert decoder.shape.n_parameters() == sum(each.numel() for each in model.parameters())


def test_a_replaced_linear_is_the_one_that_runs() -> None:
    decoder, ids = ours(hf_model("llama")), some_ids(9)
    before = decoder(ids, [9])
    name = "model.layers.1.mlp.down_proj"
    base = decoder.linears()[name]

    class Doubled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * base(x)

    decoder.replace(name, doubled := Doubled())
    assert decoder.linears()[name] is doubled
    assert not torch.allclose(decoder(ids, [9]), before)
    decoder.replace(name, base)
    assert torch.equal(decoder(ids, [9]), before)
    with pytest.raises(BadConfig, match="lm_head"):
        decoder.replace("lm_head", doubled)


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3"])
def test_checkpointing_changes_no_bit_of_the_gradients(name: str) -> None:
    model = hf_model(name)
    found = []
    for checkpointing in (False, True):
        decoder = ours(model)
        decoder.checkpointing = checkpointing
        x = decoder.embed(some_ids(300)).requires_grad_()  # rows whose P is kept only recomputed
        out = decoder.run(x, [280, 20])
        out.backward(torch.randn(300, 64, generator=torch.Generator().manual_seed(0)))
        found.append((out.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_trainable_decoder_has_the_gradients_of_transformers(
    name: str, checkpointing: bool
) -> None:
    """Of every parameter, norms and biases and the tied embedding too."""
    model, ids = hf_model(name).requires_grad_(), some_ids(60)
    shape = ours(model).shape
    decoder = trainable_decoder(shape, seed=0, state=hf_state(model))
    decoder.checkpointing = checkpointing
    scores = torch.randn(60, 96, generator=torch.Generator().manual_seed(1))
    (model(ids[None]).logits[0] * scores).sum().backward()
    head = decoder.head_weight
    assert isinstance(head, nn.Parameter)
    out = decoder(ids, [60]) @ head.T
    cap = shape.softcap
    ((out if cap is None else cap * torch.tanh(out / cap)) * scores).sum().backward()
    theirs = dict(model.named_parameters())
    mine = dict(decoder.named_parameters())
    assert set(mine) == set(theirs)
    for each, parameter in mine.items():
        wanted = theirs[each].grad
        assert parameter.grad is not None and wanted is not None
        error = float((parameter.grad - wanted).norm() / wanted.norm().clamp_min(1e-3))
        assert error <= 3e-5, each


def test_a_state_dict_goes_into_transformers_and_back() -> None:
    model = hf_model("gemma3", seed=1)
    decoder = trainable_decoder(ours(model).shape, seed=7)
    state = decoder.state_dict()
    left = model.load_state_dict(state, strict=False)
    assert not left.unexpected_keys and set(left.missing_keys) <= {"lm_head.weight"}
    model.tie_weights()
    again = trainable_decoder(decoder.shape, seed=0, state=hf_state(model))
    assert all(torch.equal(state[name], each) for name, each in again.state_dict().items())
    assert decoder.head is decoder.model.embed_tokens


def test_bfloat16_training_keeps_parameters_and_gradients_in_float32() -> None:
    shape = ours(hf_model("qwen2")).shape
    ids, found = some_ids(40), []
    for compute in ("float32", "bfloat16"):
        decoder = trainable_decoder(shape, seed=3, compute=compute)  # type: ignore[arg-type]
        out = decoder(ids, [40])
        out.float().square().sum().backward()
        grads = [each.grad for each in decoder.parameters() if each.grad is not None]
        assert out.dtype == getattr(torch, compute)
        assert {each.dtype for each in (*decoder.parameters(), *grads)} == {torch.float32}
        found.append(torch.cat([each.flatten() for each in grads]))
    error = float((found[0] - found[1]).norm() / found[0].norm())
    assert 1e-4 < error < 0.05
