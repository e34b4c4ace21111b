"""The stream's moments against hooks on a whole decoder; a killed stream against a whole one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seemant.compress.calibrate.hessians import mean_size, mixed
from seemant.compress.calibrate.one_block import Fixed
from seemant.compress.calibrate.stream import SITE_OF, SITES, LayerStream
from seemant.core.errors import BadFile
from seemant.models.names import to_hf
from tests.compress.calibrate.conftest import FAMILIES, Tiny

Make = Callable[[str], Tiny]


@torch.no_grad()
def inputs_of(tiny: Tiny, module: str, lang: str) -> Tensor:
    """Return what a module of the whole decoder reads, each sequence run alone, float64."""
    seen: list[Tensor] = []
    target = tiny.decoder.get_submodule(module)
    assert isinstance(target, nn.Module)
    hook = target.register_forward_pre_hook(lambda _, args: seen.append(args[0].double()))
    for ids in tiny.sequences[lang]:
        tiny.decoder(torch.tensor(ids), [len(ids)])
    hook.remove()
    return torch.cat(seen)


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a.double() - b.double()).abs().max() <= 2e-5 * b.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_moments_equal_those_of_hooks_on_the_whole_decoder(tiny: Make, family: str) -> None:
    model = tiny(family)
    stream = LayerStream(model.tensors, model.sequences, batch_tokens=40)
    for work in stream.layers():
        for name in work.weights:
            kind = name.split(".")[2]
            if kind not in SITE_OF or name.endswith("bias"):
                continue
            module = to_hf(name, family).removesuffix(".weight")
            for lang, moments in work.moments[SITE_OF[kind]].items():
                x = inputs_of(model, module, lang)
                assert moments.n == len(x)
                assert close(moments.mean(), x.T @ x / len(x))
                assert close(mean_size({lang: moments}), x.abs().mean(0))
                assert close(moments.importance(), x.square().mean(0))
    assert work.layer == 2
    out = torch.cat([model.decoder(torch.tensor(i), [len(i)]) for i in model.sequences["hi"]])
    assert close(stream.final()["hi"].mean(), out.T.double() @ out.double() / len(out))


@pytest.mark.parametrize("family", FAMILIES)
def test_later_layers_see_what_was_replaced(tiny: Make, family: str) -> None:
    model = tiny(family)
    stream = LayerStream(model.tensors, model.sequences)
    for work in stream.layers():
        for kind in ("attn_v", "ffn_down") if work.layer == 0 else ():
            name = f"blk.0.{kind}.weight"
            rounded = (work.weights[name] * 8).round() / 8
            work.replace(name, rounded.numpy())
            bias = work.weights.get(f"blk.0.{kind}.bias")
            model.decoder.replace(to_hf(name, family).removesuffix(".weight"), Fixed(rounded, bias))
        if work.layer == 2:
            x = inputs_of(model, "model.layers.2.mlp.down_proj", "en")
            assert close(work.moments["mlp_mid"]["en"].mean(), x.T @ x / len(x))


def test_languages_mixed_while_summing_equal_languages_mixed_afterwards(tiny: Make) -> None:
    model = tiny("qwen3")
    weights = {"hi": 0.25, "en": 0.75}
    apart = next(iter(LayerStream(model.tensors, model.sequences).layers()))
    together = next(iter(LayerStream(model.tensors, model.sequences, weights=weights).layers()))
    for site in SITES:
        assert close(mixed(together.moments[site]), mixed(apart.moments[site], weights))
        assert close(mean_size(together.moments[site]), mean_size(apart.moments[site], weights))


@pytest.mark.parametrize("killed_after", [0, 1])
def test_a_killed_stream_goes_on_at_the_next_layer_bit_for_bit(
    tiny: Make, tmp_path: Path, killed_after: int
) -> None:
    model, folder = tiny("gemma3"), tmp_path / ".stream"

    def work_on(stream: LayerStream, until: int = 99) -> dict[int, Tensor]:
        found = {}
        for work in stream.layers():
            if work.layer > until:
                break
            found[work.layer] = mixed(work.moments["mlp_mid"])
            name = f"blk.{work.layer}.attn_output.weight"
            work.replace(name, (work.weights[name] * 16).round() / 16)
        return found

    whole = LayerStream(model.tensors, model.sequences)
    expected = work_on(whole)
    first = LayerStream(model.tensors, model.sequences, folder=folder, key="a")
    work_on(first, until=killed_after)
    again = LayerStream(model.tensors, model.sequences, folder=folder, key="a")
    found = work_on(again)
    assert min(found) == killed_after + 1
    assert all(torch.equal(found[layer], expected[layer]) for layer in found)
    assert torch.equal(again.final()["hi"].lower, whole.final()["hi"].lower)
    assert again.kept_layers() == 3  # until what is made of them is written


def test_another_key_or_text_begins_anew(tiny: Make, tmp_path: Path) -> None:
    model = tiny("llama")
    for _ in LayerStream(model.tensors, model.sequences, folder=tmp_path, key="a").layers():
        pass
    fewer = {"hi": model.sequences["hi"][:1]}
    for stream in (
        LayerStream(model.tensors, model.sequences, folder=tmp_path, key="b"),
        LayerStream(model.tensors, fewer, folder=tmp_path, key="a"),
    ):
        assert next(iter(stream.layers())).layer == 0
    (tmp_path / "hidden.safetensors").write_bytes(b"damaged")
    stream = LayerStream(model.tensors, model.sequences, folder=tmp_path, key="a")
    assert next(iter(stream.layers())).layer == 0


def test_a_sample_is_whole_sequences_of_every_language(tiny: Make) -> None:
    model = tiny("qwen2")
    stream = LayerStream(model.tensors, model.sequences)
    work = next(iter(stream.layers()))
    x, lengths = work.sample(21)
    assert lengths == [20, 20, 20, 7]
    assert torch.equal(x[:40], stream.hidden["hi"][:40])
    assert torch.equal(x[40:], stream.hidden["en"])


def test_damage_is_named_by_its_layer(tiny: Make) -> None:
    model = tiny("llama")
    with pytest.raises(BadFile, match="not finite") as caught:
        for work in LayerStream(model.tensors, model.sequences).layers():
            if work.layer == 1:
                name = "blk.1.ffn_up.weight"
                work.replace(name, torch.full_like(work.weights[name], torch.inf))
    assert "layer 1" in str(caught.value)
