"""The first weights, and what training them gives: against transformers, in both number types."""

import math
from array import array
from typing import Any

import pytest
import torch

from seemant.models.decoder.shape import shape_of_config
from seemant.models.load import build
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.session import FILL, made, optimiser_of
from seemant.train.pretrain.shape import hf_config
from seemant.train.pretrain.start import first_weights
from seemant.train.pretrain.vocabulary import byte_metadata, tokenizer_of
from seemant.train.rows.render import Row
from seemant.train.student import Student

SMALL = {"size": "0.1M", "context": 40, "micro_tokens": 128}


def settings(**more: Any) -> tuple[PretrainConfig, dict[str, Any]]:
    config = PretrainConfig.model_validate(SMALL | more)
    return config, hf_config(config, tokenizer_of(byte_metadata()))


def rows() -> list[Row]:
    generator = torch.Generator().manual_seed(3)
    ids = [torch.randint(0, 258, (n + 1,), generator=generator).tolist() for n in (40, 17, 40, 3)]
    return [
        Row(
            key=str(i), paragraph=str(i), lang="en", n_prompt=1,
            ids=array("i", each[:-1]), targets=array("i", each[1:]),
        )
        for i, each in enumerate(ids)
    ]  # fmt: skip


def gradients(config: PretrainConfig, said: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    decoder = made(config, said)
    loss = Student(decoder, fill=FILL).answer_losses(rows()).mean()
    loss.backward()
    return float(loss.detach()), {name: each.grad for name, each in decoder.named_parameters()}


def test_weights_have_the_spread_that_is_promised_and_depend_on_the_seed_alone() -> None:
    _, said = settings(d=128, layers=4, heads=4, head_dim=32, ff=512)
    shape = shape_of_config(said)
    first, again, other = (first_weights(shape, seed) for seed in (0, 0, 1))
    assert set(first) == set(shape.tensors())
    for name, values in first.items():
        assert torch.equal(values, again[name])
        if values.ndim == 1:
            assert torch.equal(values, torch.ones_like(values))
            continue
        assert not torch.equal(values, other[name])
        wanted = 0.02 if "embed" in name else 1 / math.sqrt(values.shape[1])
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            wanted /= math.sqrt(8)
        assert float(values.std()) == pytest.approx(wanted, rel=0.03), name


def test_an_untrained_model_knows_nothing() -> None:
    loss, _ = gradients(*settings())
    assert loss == pytest.approx(math.log(258), rel=0.02)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_loss_and_every_gradient_are_transformers_own(family: str, tied: bool) -> None:
    config, said = settings(family=family, tied=tied)
    loss, ours = gradients(config, said)
    model = build(said)
    state = {name: each.detach() for name, each in made(config, said).named_parameters()}
    if tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    model.requires_grad_(True)
    theirs = torch.cat(
        [
            torch.nn.functional.cross_entropy(
                model(torch.tensor([list(row.ids)])).logits[0],
                torch.tensor(list(row.targets)),
                reduction="none",
            )
            for row in rows()
        ]
    ).mean()
    theirs.backward()
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-6)
    found = dict(model.named_parameters())
    for name, gradient in ours.items():
        error = (gradient - found[name].grad).norm() / found[name].grad.norm()
        assert error < 2e-5, name


def test_bfloat16_computes_the_same_to_its_own_precision_and_trains_float32() -> None:
    loss, exact = gradients(*settings())
    half_loss, half = gradients(*settings(compute="bfloat16"))
    assert half_loss == pytest.approx(loss, rel=2e-3) and half_loss != loss
    for name, gradient in half.items():
        assert gradient.dtype == torch.float32
        assert (gradient - exact[name]).norm() / exact[name].norm() < 0.05, name


def test_norm_gains_do_not_decay() -> None:
    config, said = settings()
    groups = optimiser_of(config, made(config, said).parameters()).param_groups
    for group in groups:
        assert group["betas"] == (0.9, 0.95)
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
