"""Folders as people have them, against transformers' own reading of the same folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from seemant.core.errors import BadFile
from seemant.models.decoder.folder_weights import folder_weights
from seemant.models.hf_folder import open_folder, read_state, weight_files
from tests.models.tiny import logits, tiny_ids, tiny_model

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model("llama").save_pretrained(tmp_path / "hf")
    return tmp_path / "hf"


def stored(folder: Path) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in load_file(folder / WHOLE).items()}


def told(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def theirs(folder: Path) -> dict[str, Tensor]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return dict(model.state_dict())


def in_shards(folder: Path, state: dict[str, Tensor], *, n: int = 3) -> None:
    names = sorted(state)
    files = {f"model-{i + 1:05}-of-{n:05}.safetensors": names[i::n] for i in range(n)}
    for file, each in files.items():
        save_file({name: state[name] for name in each}, folder / file)
    where = {name: file for file, each in files.items() for name in each}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))


@pytest.mark.parametrize("left", ["index alone", "shards too", "other index"])
def test_a_whole_file_goes_before_an_index_as_in_transformers(folder: Path, left: str) -> None:
    new = stored(folder)
    in_shards(folder, {name: each + 1 for name, each in new.items()})
    if left == "index alone":
        for shard in folder.glob("model-*"):
            shard.unlink()
    if left == "other index":
        (folder / INDEX).write_text("{}")
    assert weight_files(folder) == [folder / WHOLE]
    assert torch.equal(read_state(folder)[UP], theirs(folder)[UP])
    assert torch.equal(folder_weights(folder).whole(UP), new[UP])


def test_shards_are_read_together_and_a_missing_one_is_named(folder: Path) -> None:
    state = stored(folder)
    in_shards(folder, state)
    (folder / WHOLE).unlink()
    found = read_state(folder)
    assert {name: each.shape for name, each in found.items()} == {
        name: each.shape for name, each in state.items()
    }
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(BadFile, match="1 of 3 weight files are missing: model-00002-of-00003"):
        open_folder(folder)


@pytest.mark.parametrize("text", ["[1]", "{}", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}'])
def test_an_index_that_names_no_files_is_refused(folder: Path, text: str) -> None:
    (folder / WHOLE).unlink()
    (folder / INDEX).write_text(text)
    with pytest.raises(BadFile) as caught:
        open_folder(folder)
    assert INDEX in str(caught.value)


@pytest.mark.parametrize("form", ["no head", "equal head", "other head", "head alone"])
def test_a_head_is_tied_where_transformers_ties_it(folder: Path, form: str) -> None:
    state = stored(folder)
    if form != "no head":
        state[HEAD] = state[TABLE] + (1.0 if form == "other head" else 0.0)
    if form == "head alone":
        del state[TABLE]
    save_file(state, folder / WHOLE)
    opened, wanted = open_folder(folder), theirs(folder)
    ours = read_state(folder)
    assert opened.config["tie_word_embeddings"] is (form != "other head")
    assert (HEAD in ours) is (form == "other head")
    assert torch.equal(ours[TABLE], wanted[TABLE])
    assert torch.equal(ours.get(HEAD, ours[TABLE]), wanted[HEAD])


def test_types_may_be_mixed(folder: Path) -> None:
    state = stored(folder)
    kinds = (torch.float32, torch.float16, torch.bfloat16)
    mixed = {name: each.to(kinds[i % 3]) for i, (name, each) in enumerate(sorted(state.items()))}
    save_file(mixed, folder / WHOLE)
    weights, wanted = folder_weights(folder), theirs(folder)
    for name in mixed:
        assert torch.equal(weights.whole(name), wanted[name]), name


@pytest.mark.parametrize("block", [(16, 16), (32, 32), None])
def test_eight_bit_floats_with_scales_are_dequantised_as_transformers_does(
    folder: Path, block: tuple[int, int] | None
) -> None:
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    state = stored(folder)
    wanted = {}
    for name in [each for each in state if "_proj" in each]:
        rows, columns = state[name].shape
        high, wide = block or (rows, columns)
        s = torch.rand(rows // high, columns // wide) * 0.1 + 0.01
        q = torch.randn(rows, columns).mul(20).to(torch.float8_e4m3fn)
        wanted[name] = Fp8Dequantize(None)._dequantize_one(q, s, torch.float32)
        state |= {name: q, f"{name}_scale_inv": s if block else s.reshape(())}
    save_file(state, folder / WHOLE)
    told(folder, quantization_config={"quant_method": "fp8", "weight_block_size": block})
    weights, mapped = folder_weights(folder), read_state(folder)
    for name, each in wanted.items():
        torch.testing.assert_close(weights.whole(name), each, rtol=1e-7, atol=0)
        torch.testing.assert_close(mapped[name], each, rtol=1e-7, atol=0)
    del state[f"{UP}_scale_inv"]
    save_file(state, folder / WHOLE)
    with pytest.raises(BadFile, match=f"{UP} is stored as F8_E4M3 without"):
        open_folder(folder)


def test_every_eight_bit_float_has_torchs_value(tmp_path: Path) -> None:
    from seemant.models.folder_tensors import tensors_of_file

    codes = torch.arange(256, dtype=torch.uint8).reshape(16, 16)
    kinds = {"a": torch.float8_e4m3fn, "b": torch.float8_e5m2}
    save_file(
        {name: codes.clone().view(kind) for name, kind in kinds.items()}, tmp_path / "f.safetensors"
    )
    found = tensors_of_file(tmp_path / "f.safetensors")
    for name, kind in kinds.items():
        wanted = codes.view(kind).float()
        torch.testing.assert_close(
            torch.from_numpy(found[name].whole()), wanted, rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "compressed-tensors", "mxfp4"])
def test_packed_folders_are_refused_with_their_method(folder: Path, method: str) -> None:
    told(folder, quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(BadFile, match=rf"\({method}\)") as caught:
        open_folder(folder)
    assert "plain" in str(caught.value.fix)


def _broken(folder: Path, kind: str) -> None:
    state, path = stored(folder), folder / WHOLE
    if kind == "empty":
        state[UP] = torch.zeros(0)
    if kind == "another shape":
        state[UP] = state[UP].T.contiguous()
    if kind in ("empty", "another shape"):
        save_file(state, path)
    if kind == "LFS pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    if kind == "pickle":
        path.unlink()
        (folder / "pytorch_model.bin").write_bytes(b"")
    if kind == "adapter":
        path.unlink()
        (folder / "config.json").unlink()
        (folder / "adapter_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", f"{UP} is empty"),
        ("another shape", f"of another shape: {UP}"),
        ("LFS pointer", "Git LFS pointer"),
        ("pickle", r"pickled \(pytorch_model.bin\)"),
        ("adapter", "holds a LoRA adapter"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(folder: Path, kind: str, message: str) -> None:
    _broken(folder, kind)
    with pytest.raises(BadFile, match=message) as caught:
        folder_weights(folder)
    assert caught.value.where and str(folder) in caught.value.where and caught.value.fix


def multimodal(path: Path) -> Any:
    """A tiny Gemma 3 for images and text, saved as transformers saves it."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = tiny_model("gemma3").config.to_dict()
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1)
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(path)
    return model


@pytest.mark.parametrize("layout", ["as saved", "older", "newer"])
def test_a_multimodal_folder_s_text_part_is_taken(tmp_path: Path, layout: str) -> None:
    from seemant.models.load import build

    model = multimodal(tmp_path / "hf")
    state = stored(tmp_path / "hf")
    plain = {
        name.replace("language_model.model.", "").replace("model.language_model.", ""): each
        for name, each in state.items()
        if "language_model" in name
    }
    rest = {name: each for name, each in state.items() if "language_model" not in name}
    before = {"older": "language_model.model.", "newer": "model.language_model."}.get(layout)
    if before:
        renamed = {f"{before}{name}": each for name, each in plain.items()}
        others = {
            ("model." if layout == "newer" else "") + n.removeprefix("model."): e
            for n, e in rest.items()
        }
        save_file(renamed | others, tmp_path / "hf" / WHOLE)
    opened = open_folder(tmp_path / "hf")
    assert opened.config["model_type"] == "gemma3_text"
    text = build(opened.config)
    found = read_state(tmp_path / "hf")
    text.load_state_dict(found | {HEAD: found[TABLE]}, assign=True)
    got, wanted = logits(text, tiny_ids()), logits(model, tiny_ids())
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_a_folder_saved_without_its_head_s_class_is_read(folder: Path) -> None:
    whole = stored(folder)
    bare = {name.removeprefix("model."): each for name, each in whole.items()}
    save_file(bare, folder / WHOLE)
    assert set(read_state(folder)) == set(whole)


def test_a_copied_folder_reads_the_same(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    for name, each in read_state(tmp_path / "copy").items():
        assert torch.equal(each, read_state(folder)[name])
