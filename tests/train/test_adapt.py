"""Adapters on whole decoders: equal to PEFT's, alone in being trained, off when asked."""

from typing import Any

import pytest
import torch

from seemant.core.errors import InputError
from seemant.core.jsonl import read_json
from seemant.models.decoder.shape import shape_of_config
from seemant.models.resolve import config_names
from seemant.train.adapt import LoraLinear, adapt, adapters_off, refuse_tied_ends, trainable
from tests.train.tiny import decoder_of, shaken, tiny_gemma, tiny_llama

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IDS, LENGTHS = torch.arange(12), [7, 5]


def peft_model(model: Any, method: str) -> Any:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            r=4,
            lora_alpha=8.0,
            target_modules=ALL,
            task_type="CAUSAL_LM",
            use_rslora=method == "rslora",
            use_dora=method == "dora",
        ),
    )


def theirs_of(name: str) -> str:
    """PEFT's name of one of our parameters."""
    if name.endswith("lora_magnitude_vector"):
        return f"base_model.model.{name}.default.weight"
    return f"base_model.model.{name.removesuffix('.weight')}.default.weight"


@pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_hidden_states_and_all_gradients_equal_pefts(make: Any, method: str) -> None:
    ours, theirs = decoder_of(make(50)), peft_model(make(50), method)
    adapters = adapt(ours, method, 4, 8.0, seed=1)
    assert len(adapters) == 14  # seven linear layers in each of two blocks
    parameters = shaken(trainable(adapters))
    own = dict(theirs.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            own[theirs_of(name)].copy_(parameter)
    body = theirs.base_model.model.model
    reference = torch.cat(
        [body(input_ids=each[None]).last_hidden_state[0] for each in IDS.split(LENGTHS)]
    )
    mine = ours(IDS, LENGTHS)
    assert float(((mine - reference).norm() / reference.norm()).detach()) <= 1e-6
    weights = torch.linspace(-1, 1, mine.numel()).view_as(mine)
    (mine * weights).sum().backward()
    (reference * weights).sum().backward()
    for name, parameter in parameters.items():
        want = own[theirs_of(name)].grad
        assert want is not None and parameter.grad is not None and want.any()
        assert (parameter.grad - want).norm() / want.norm() <= 3e-6, name


def test_a_fresh_adapter_changes_nothing() -> None:
    for method in ("lora", "rslora", "dora"):
        decoder = decoder_of(tiny_llama(50))
        before = decoder(IDS, LENGTHS)
        adapt(decoder, method, 4, 8.0, seed=0)
        # DoRA divides by a norm that is its own magnitude: equal up to rounding.
        assert torch.allclose(decoder(IDS, LENGTHS), before, rtol=0, atol=1e-5 * (method == "dora"))


def test_off_gives_the_bases_own_numbers_and_on_again_the_adapters() -> None:
    decoder = decoder_of(tiny_llama(50))
    base = decoder(IDS, LENGTHS)
    adapters = adapt(decoder, "lora", 4, 8.0, seed=0)
    shaken(trainable(adapters))
    tuned = decoder(IDS, LENGTHS)
    with adapters_off(adapters):
        assert torch.equal(decoder(IDS, LENGTHS), base)
    assert torch.equal(decoder(IDS, LENGTHS), tuned) and not torch.allclose(tuned, base)


def test_only_the_adapters_are_trained_and_the_tied_head_is_left_alone() -> None:
    decoder = decoder_of(tiny_llama(50))
    parameters = trainable(adapt(decoder, "lora", 3, 8.0, seed=0))
    learned = {id(p) for p in decoder.parameters() if p.requires_grad}
    assert learned == {id(p) for p in parameters.values()}
    assert not isinstance(decoder.head, LoraLinear)
    d, ff, kv, r = 32, 48, 16, 3
    a_layer = r * ((d + d) + 2 * (d + kv) + (d + d) + 3 * (d + ff))
    assert sum(p.numel() for p in parameters.values()) == 2 * a_layer


def test_qwen_7b_with_rank_32_has_exactly_the_reported_parameters() -> None:
    shape = shape_of_config(read_json(config_names()["Qwen/Qwen2.5-7B-Instruct"]))
    counted = sum(32 * (n_out + n_in) for n_out, n_in in shape.linears().values())
    assert counted == 80_740_352


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_over_a_quantised_base_it_is_the_adapter_over_the_dequantised_one(kind: str) -> None:
    coded = decoder_of(tiny_llama(64), base=kind)
    model = tiny_llama(64)
    with torch.no_grad():
        for name, module in coded.linears().items():
            model.get_submodule(name).weight.copy_(module.weight(torch.float32))
    plain = decoder_of(model)
    outs, gradients = [], []
    for decoder in (coded, plain):
        parameters = shaken(trainable(adapt(decoder, "lora", 4, 8.0, seed=0)))
        out = decoder(IDS, LENGTHS)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        outs.append(out.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in parameters.values()]))
    assert (outs[0] - outs[1]).norm() / outs[1].norm() <= 1e-5
    assert (gradients[0] - gradients[1]).norm() / gradients[1].norm() <= 1e-5


def test_the_start_depends_on_the_seed_and_the_layer_only() -> None:
    def starts(model: Any, seed: int) -> dict[str, torch.Tensor]:
        return {n: m.lora_a for n, m in adapt(decoder_of(model), "lora", 4, 8.0, seed).items()}

    first, again = starts(tiny_llama(50), 3), starts(tiny_llama(50, 9), 3)
    other = starts(tiny_llama(50), 4)
    assert all(torch.equal(start, again[name]) for name, start in first.items())
    assert not any(torch.equal(start, other[name]) for name, start in first.items())
    assert len({float(start.detach().sum()) for start in first.values()}) == len(first)


def test_a_model_without_frozen_linears_is_refused() -> None:
    class Empty:
        def linears(self) -> dict[str, torch.nn.Module]:
            return {"x": torch.nn.Linear(3, 3)}

    with pytest.raises(InputError, match="no frozen linear layer"):
        adapt(Empty(), "lora", 2, 4.0, 0)  # type: ignore[arg-type]


def test_an_adapter_on_a_shared_embedding_and_head_is_refused() -> None:
    layers = ["model.layers.0.self_attn.q_proj", "lm_head"]
    with pytest.raises(InputError, match="an adapter on lm_head"):
        refuse_tied_ends(layers, tied=True)
    with pytest.raises(InputError, match="an adapter on model"):
        refuse_tied_ends(["model.embed_tokens"], tied=True)
    refuse_tied_ends(layers, tied=False)
    refuse_tied_ends(layers[:1], tied=True)
