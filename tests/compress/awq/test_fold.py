"""Folding changes nothing but the weights, in every family; a wrong site does."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seemant.compress.awq.fold import (
    channels_of,
    columns_of,
    folded,
    folded_gain,
    folded_hessian,
)
from seemant.compress.awq.sites import SITES, Site, sites_of
from seemant.core.errors import BadConfig
from seemant.models.decoder.shape import DecoderShape
from tests.compress.awq.tiny import (
    FAMILIES,
    LAYERS,
    block_of,
    file_logits,
    logits,
    moved,
    site_inputs,
    some_input,
    tiny_shape,
    tiny_state,
    to_file,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_stay_when_every_site_is_scaled(family: str) -> None:
    shape = tiny_shape(family)
    tensors = to_file(shape, tiny_state(shape))
    before = file_logits(shape, tensors)
    out = tensors
    for layer in range(LAYERS):
        for i, site in enumerate(sites_of(family)):
            out = folded(out, layer, site, _scale(shape, site, seed=10 * layer + i), shape)
    assert moved(file_logits(shape, out), before) < 1e-5
    untouched = {"attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm"}
    for name, each in out.items():
        inside = name.split(".")[-2]
        reads = not name.endswith("bias") and name.startswith("blk.") and inside not in untouched
        moves = reads or inside in ("attn_v", "ffn_up")
        assert torch.equal(each, tensors[name]) is not moves, name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("at", range(4))
def test_each_site_alone_moves_no_logit_and_needs_its_source(family: str, at: int) -> None:
    shape, site = tiny_shape(family), sites_of(family)[at]
    tensors = to_file(shape, tiny_state(shape))
    scale = _scale(shape, site)
    out = folded(tensors, 1, site, scale, shape)
    before = file_logits(shape, tensors)
    assert moved(file_logits(shape, out), before) < 1e-5
    source = f"blk.1.{site.source}.weight"
    half = {**out, source: tensors[source]}
    assert moved(file_logits(shape, half), before) > 1e-2


def test_the_norm_after_gemmas_attention_is_no_site() -> None:
    """The name under which Llama's own mlp site goes in transformers is a trap."""
    shape = tiny_shape("gemma3")
    tensors = to_file(shape, tiny_state(shape))
    right = next(site for site in SITES["gemma3"] if site.name == "mlp_in")
    wrong = replace(right, source="post_attention_norm")
    scale, before = _scale(shape, right), file_logits(shape, tensors)
    assert moved(file_logits(shape, folded(tensors, 0, right, scale, shape)), before) < 1e-5
    assert moved(file_logits(shape, folded(tensors, 0, wrong, scale, shape)), before) > 1e-2
    assert not any(site.source.startswith("post_") for sites in SITES.values() for site in sites)


def test_qwens_bias_of_v_must_move_and_those_of_q_and_k_must_not() -> None:
    shape = tiny_shape("qwen2")
    tensors = to_file(shape, tiny_state(shape))
    before = file_logits(shape, tensors)
    site = next(site for site in SITES["qwen2"] if site.name == "attn_out")
    out = folded(tensors, 0, site, _scale(shape, site), shape)
    assert moved(file_logits(shape, out), before) < 1e-5
    stayed = {**out, "blk.0.attn_v.bias": tensors["blk.0.attn_v.bias"]}
    assert moved(file_logits(shape, stayed), before) > 1e-3


def test_query_heads_that_share_a_key_head_must_share_their_scale() -> None:
    shape = tiny_shape("llama")  # 4 query heads, 2 key heads, of 16
    site = next(site for site in SITES["llama"] if site.name == "attn_out")
    scale = torch.arange(32.0)
    heads = columns_of(scale, site, shape).view(4, 16)
    assert torch.equal(heads, torch.stack([scale[:16], scale[:16], scale[16:], scale[16:]]))
    sizes = torch.rand(64)
    by_head = sizes.view(4, 16)
    wanted = torch.cat([(by_head[0] + by_head[1]) / 2, (by_head[2] + by_head[3]) / 2])
    assert torch.allclose(channels_of(sizes, site, shape), wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_gains_fold_in_transformers_own_layout_too(family: str) -> None:
    """Gemma's stored gain lacks 1 there: (1 + w) / s - 1."""
    shape = tiny_shape(family)
    state = tiny_state(shape)
    scale = _scale(shape, sites_of(family)[0])
    shift = 1.0 if family == "gemma3" else 0.0
    out, layer = dict(state), "model.layers.0"
    out[f"{layer}.input_layernorm.weight"] = folded_gain(
        state[f"{layer}.input_layernorm.weight"], scale, shift=shift
    )
    for name in ("q_proj", "k_proj", "v_proj"):
        out[f"{layer}.self_attn.{name}.weight"] = state[f"{layer}.self_attn.{name}.weight"] * scale
    before = logits(shape, state)
    assert moved(logits(shape, out), before) < 1e-5
    if shift:
        plain = folded_gain(state[f"{layer}.input_layernorm.weight"], scale)
        wrong = {**out, f"{layer}.input_layernorm.weight": plain}
        assert moved(logits(shape, wrong), before) > 1e-2


@given(st.sampled_from(FAMILIES), st.integers(0, 1000))
def test_a_folded_hessian_is_that_of_the_folded_block(family: str, seed: int) -> None:
    shape = tiny_shape(family)
    block = block_of(to_file(shape, tiny_state(shape)))
    site = sites_of(family)[seed % 4]
    scale = _scale(shape, site, seed=seed)
    x = some_input(shape)
    before = site_inputs(shape, block, x)[site.name]
    after = site_inputs(shape, folded(block, 0, site, scale, shape), x)[site.name]
    wanted = after.T @ after / len(after)
    columns = columns_of(scale, site, shape)
    got = folded_hessian(before.T @ before / len(before), columns)
    assert float((got - wanted).abs().max() / wanted.abs().max()) < 1e-4


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(BadConfig, match="gemma4"):
        sites_of("gemma4")


def _scale(shape: DecoderShape, site: Site, *, seed: int = 0) -> Tensor:
    """Factors from about 1/4 to 4, one a channel of the site's source."""
    channels = {
        "attn_out": shape.kv_heads * shape.head_dim,
        "mlp_mid": shape.ff,
    }.get(site.name, shape.d)
    return (0.6 * torch.randn(channels, generator=torch.Generator().manual_seed(seed))).exp()
