"""A block prepared: the same function, never worse than plain rounding, alpha 0 exactly it."""

import pytest
import torch

from seemant.compress.awq.config import AwqConfig
from seemant.compress.awq.errors import rounded
from seemant.compress.awq.fold import folded_hessian
from seemant.compress.awq.moments import SiteMoments
from seemant.compress.awq.prepare import AwqResult, prepare_block
from seemant.compress.awq.sites import sites_of
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.tensor_format import Format, format_of
from tests.compress.awq.tiny import (
    FAMILIES,
    block_of,
    file_logits,
    measured,
    moved,
    site_inputs,
    some_input,
    tiny_shape,
    tiny_state,
    to_file,
)

ALL = {"attn_in", "attn_out", "mlp_in", "mlp_mid"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_function_stays_and_no_site_is_worse_than_rounding(family: str) -> None:
    shape = tiny_shape(family)
    tensors = to_file(shape, tiny_state(shape))
    result = _prepared(family)
    assert moved(file_logits(shape, tensors | result.weights), file_logits(shape, tensors)) < 1e-5
    assert set(result.sites) == ALL
    for site, report in result.sites.items():
        assert report.error <= report.rtn_error, site
        assert len(report.screened) == 20
    assert any(report.alpha > 0 for report in result.sites.values())
    assert sum(r.error for r in result.sites.values()) < 0.9 * sum(
        r.rtn_error for r in result.sites.values()
    )
    for name, report in result.clips.items():
        assert report.error <= report.unclipped_error, name
    assert {name.split(".")[2] for name in result.clips} == {
        "attn_v",
        "attn_output",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_reported_errors_are_those_of_the_rounded_block(family: str) -> None:
    """Found again by hand: outputs of the part before and after rounding, token by token."""
    shape, result = tiny_shape(family), _prepared(family)
    block = block_of(to_file(shape, tiny_state(shape)))
    forward, moments = measured(shape, block)
    inputs = site_inputs(shape, block, some_input(shape))
    format = format_of("q4_0")
    for site in sites_of(family):
        names = [f"blk.0.{reader}.weight" for reader in site.readers]
        # a later site's fold divides rows of v and up: it undoes itself in the part's output
        tried = result.weights | {name: rounded(result.weights[name], format) for name in names}
        if site.measured is not None:
            difference = forward(site.measured, tried) - forward(site.measured, block)
        else:
            x = inputs[site.name]
            scaled = x / result.scales[site.name]
            difference = scaled @ tried[names[0]].T - x @ block[names[0]].T
        error = float(difference.double().square().sum(1).mean())
        assert error == pytest.approx(result.sites[site.name].error, rel=2e-2), site.name
    assert moments.keys() == result.scales.keys()


def test_alpha_nought_is_plain_rounding_bit_for_bit() -> None:
    for family in FAMILIES:
        shape = tiny_shape(family)
        block = block_of(to_file(shape, tiny_state(shape)))
        result = _prepared(family, alphas=(0.0,), clip=False)
        assert result.to_round().keys() == block.keys()
        for name, each in result.to_round().items():
            assert torch.equal(each, block[name]), name
        for report in result.sites.values():
            assert report.alpha == 0 and report.error == report.rtn_error
        assert all((scale == 1).all() for scale in result.scales.values())


def test_clipping_is_searched_on_the_folded_block() -> None:
    shape, result = tiny_shape("llama"), _prepared("llama")
    block = block_of(to_file(shape, tiny_state(shape)))
    x = site_inputs(shape, result.weights, some_input(shape))["mlp_in"]
    name, format = "blk.0.ffn_gate.weight", format_of("q4_0")
    assert result.clips[name].share > 0 and name in result.clipped
    for weight, wanted in (
        (result.to_round()[name], result.clips[name].error),
        (result.weights[name], result.clips[name].unclipped_error),
    ):
        dw = rounded(weight, format) - result.weights[name]
        assert float((x @ dw.T).square().sum(1).mean()) == pytest.approx(wanted, rel=1e-2)
    _, moments = measured(shape, block)
    hessian = folded_hessian(moments["mlp_in"].hessian, result.scales["mlp_in"])
    assert moved(hessian, x.T @ x / len(x)) < 1e-4


def test_hessians_folded_in_place_are_the_copies_bit_for_bit_and_so_is_the_block() -> None:
    shape = tiny_shape("qwen2")
    block = block_of(to_file(shape, tiny_state(shape)))
    forward, moments = measured(shape, block)
    before = {site: each.hessian.clone() for site, each in moments.items()}
    q4_0, wanted = format_of("q4_0"), _prepared("qwen2")
    for clip in (True, False):
        mine = {site: SiteMoments(before[site].clone(), moments[site].magnitude) for site in before}
        config = AwqConfig(clip=clip)
        got = prepare_block(
            0,
            block,
            mine,
            forward,
            lambda name: q4_0 if name.endswith("weight") and "norm" not in name else None,
            shape,
            config,
            keep_moments=False,
        )
        for name, each in (got.to_round() if clip else got.weights).items():
            assert torch.equal(each, (wanted.to_round() if clip else wanted.weights)[name]), name
        for site, hessian in before.items():
            folded = hessian / got.scales[site] / got.scales[site][:, None]
            assert torch.equal(mine[site].hessian, folded), site
    assert any(not torch.equal(mine[site].hessian, each) for site, each in before.items())


def test_large_matrices_are_rounded_by_rows_to_the_same_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = torch.randn(37, 64, generator=torch.Generator().manual_seed(3))
    for name in ("q4_0", "q4_1", "q8_0", "int3-asym-channel"):
        whole = rounded(w, format_of(name))
        monkeypatch.setattr("seemant.compress.awq.errors._SLICE_WEIGHTS", 5 * 64)
        assert torch.equal(rounded(w, format_of(name)), whole), name
        monkeypatch.undo()


def test_matrices_that_stay_and_sites_without_moments_are_left_alone() -> None:
    shape = tiny_shape("gemma3")
    block = block_of(to_file(shape, tiny_state(shape)))
    forward, moments = measured(shape, block)
    del moments["attn_out"]

    def only_the_mlp(name: str) -> Format | None:
        if "attn" in name:
            return format_of("f16") if "attn_q" in name else None
        return format_of("q4_0")

    result = prepare_block(0, block, moments, forward, only_the_mlp, shape)
    assert set(result.sites) == {"mlp_in", "mlp_mid"}
    for name, each in result.to_round().items():
        if "attn" in name:
            assert torch.equal(each, block[name]), name


@pytest.mark.parametrize("search", ["mse", "hqq"])
def test_the_floor_holds_under_every_search_of_the_grid(search: str) -> None:
    result = _prepared("qwen2", search=search, alphas=(0.3, 0.6), verify=1, clip_steps=3)
    for report in result.sites.values():
        assert report.error <= report.rtn_error
    assert all(each.error <= each.unclipped_error for each in result.clips.values())


def test_damaged_weights_and_formats_that_do_not_fit_name_the_site() -> None:
    shape = tiny_shape("llama")
    block = block_of(to_file(shape, tiny_state(shape)))
    forward, moments = measured(shape, block)
    with pytest.raises(BadConfig, match=r"blk\.0, AWQ's site attn_in") as caught:
        prepare_block(0, block, moments, forward, lambda _: format_of("q4_k"), shape)
    assert "multiple of 256" in str(caught.value)
    block["blk.0.attn_q.weight"][3, 3] = torch.nan
    with pytest.raises(BadFile, match=r"blk\.0, AWQ's site attn_in"):
        prepare_block(0, block, moments, forward, lambda _: format_of("q4_0"), shape)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"alphas": (0.5, 1.2)}, {"max_shrink": 1.0}, {"verify": 0}, {"screen_rows": 0}):
        with pytest.raises(BadConfig, match=next(iter(wrong))):
            AwqConfig(**wrong)


def test_moments_without_sizes_use_the_root_of_the_mean_square() -> None:
    hessian = torch.tensor([[4.0, 1.0], [1.0, 9.0]])
    assert torch.equal(SiteMoments.of_hessian(hessian).magnitude, torch.tensor([2.0, 3.0]))


def _prepared(family: str, **settings: object) -> AwqResult:
    shape = tiny_shape(family)
    block = block_of(to_file(shape, tiny_state(shape)))
    forward, moments = measured(shape, block)
    return prepare_block(
        0, block, moments, forward, lambda _: format_of("q4_0"), shape, AwqConfig(**settings)
    )
