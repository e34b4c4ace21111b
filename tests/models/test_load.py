"""Loading: the same logits as the model that the file was written from, for every family."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from seemant.core.errors import BadFile, DiskFull
from seemant.formats.gguf_read import open_gguf
from seemant.models.expand import SOURCE_NAME, expand
from seemant.models.load import load_torch
from tests.models.tiny import FAMILIES, logits, tiny_ids, tiny_model, write_tiny_gguf

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_file_gives_the_logits_of_the_model_it_was_written_from(
    family: str, tied: bool, tmp_path: Path
) -> None:
    model = tiny_model(family, tied=tied)
    path = write_tiny_gguf(tmp_path / "m.gguf", model, family)
    first, cached = load_torch(path), load_torch(path)
    wanted = logits(model, tiny_ids())
    assert (logits(first.model, tiny_ids()) - wanted).abs().max() <= 1e-5
    assert torch.equal(logits(first.model, tiny_ids()), logits(cached.model, tiny_ids()))
    assert first.facts.tied == tied and first.facts.family.name == family
    assert first.facts.n_parameters == sum(p.numel() for p in model.parameters())
    shared = first.model.lm_head.weight is first.model.model.embed_tokens.weight
    assert shared == tied


@pytest.mark.parametrize("family", FAMILIES)
def test_an_hf_folder_gives_the_logits_of_the_model_that_was_saved(
    family: str, tmp_path: Path
) -> None:
    model = tiny_model(family)
    folder = _saved(model, family, tmp_path)
    loaded = load_torch(folder)
    assert (logits(loaded.model, tiny_ids()) - logits(model, tiny_ids())).abs().max() <= 1e-5
    assert loaded.facts.sha256 is None


def test_a_folder_in_shards_loads_and_a_missing_shard_is_named(tmp_path: Path) -> None:
    model = tiny_model("llama")
    folder = _saved(model, "llama", tmp_path, max_shard_size="100KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert torch.equal(logits(load_torch(folder).model, tiny_ids()), logits(model, tiny_ids()))
    shards[0].unlink()
    with pytest.raises(BadFile, match=shards[0].name):
        load_torch(folder)


def test_pickled_weights_are_refused_unopened(tmp_path: Path) -> None:
    folder = _saved(tiny_model("llama"), "llama", tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(BadFile, match="pickled"):
        load_torch(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(BadFile, match=r"holds no model\.safetensors"):
        load_torch(folder)


def test_code_that_a_model_brings_is_refused(tmp_path: Path) -> None:
    folder = _saved(tiny_model("llama"), "llama", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadFile, match="code of its own"):
        load_torch(folder)


def test_weights_that_lack_a_tensor_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = _saved(tiny_model("qwen2"), "qwen2", tmp_path)
    state = {name: each.clone() for name, each in load_file(folder / "model.safetensors").items()}
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(BadFile, match=r"missing: model\.layers\.1\.mlp\.up_proj\.weight"):
        load_torch(folder)


def test_replaced_tensors_stand_in_by_their_gguf_name_and_layout(tmp_path: Path) -> None:
    """Replacing every tensor by its own values changes nothing, in the permuted family, too."""
    model = tiny_model("llama")
    path = write_tiny_gguf(tmp_path / "m.gguf", model, "llama")
    file = open_gguf(path)
    same = {name: file.dequantize(name) for name in file.tensors}
    assert torch.equal(
        logits(load_torch(path, replace=same).model, tiny_ids()),
        logits(load_torch(path).model, tiny_ids()),
    )
    other = {"blk.0.ffn_up.weight": np.zeros_like(same["blk.0.ffn_up.weight"])}
    changed = load_torch(path, replace=other).model
    assert not changed.model.layers[0].mlp.up_proj.weight.any()
    assert load_torch(path).model.model.layers[0].mlp.up_proj.weight.any()


def test_replacing_the_embedding_of_a_tied_model_replaces_its_head(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("gemma3"), "gemma3")
    doubled = open_gguf(path).dequantize("token_embd.weight") * 2
    model = load_torch(path, replace={"token_embd.weight": doubled}).model
    assert torch.equal(model.lm_head.weight, torch.from_numpy(doubled))


def test_changing_a_loaded_model_never_changes_the_cache(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    model = load_torch(path).model
    before = logits(model, tiny_ids())
    with torch.no_grad():
        model.model.norm.weight.zero_()
    assert torch.equal(logits(load_torch(path).model, tiny_ids()), before)


def test_a_model_is_loaded_frozen_and_in_evaluation_mode(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("qwen3"), "qwen3")
    model = load_torch(path, dtype="bfloat16").model
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_llama_3_rotation_factors_slow_the_rotation(tmp_path: Path) -> None:
    """llama.cpp divides the frequencies by the factors; transformers computes them itself."""
    from seemant.formats.gguf_write import TensorData, write_gguf

    model = tiny_model("llama")
    plain = write_tiny_gguf(tmp_path / "m.gguf", model, "llama")
    file = open_gguf(plain)
    factors = np.array([1, 1, 2, 2, 4, 8, 8, 8], np.float32)
    tensors = {n: TensorData("F32", t.shape, t.raw()) for n, t in file.tensors.items()}
    tensors["rope_freqs.weight"] = TensorData("F32", (8,), factors)
    write_gguf(tmp_path / "long.gguf", file.fields, tensors)
    with torch.no_grad():
        model.model.rotary_emb.inv_freq /= torch.from_numpy(factors)
    got = logits(load_torch(tmp_path / "long.gguf").model, tiny_ids())
    assert (got - logits(model, tiny_ids())).abs().max() <= 1e-5


def test_a_file_that_changed_is_expanded_anew(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama", seed=1), "llama")
    first = expand(path)
    model = tiny_model("llama", seed=2)
    write_tiny_gguf(path, model, "llama")
    os.utime(path, ns=(1, 1))
    assert expand(path) != first
    assert torch.equal(logits(load_torch(path).model, tiny_ids()), logits(model, tiny_ids()))


def test_an_expansion_that_was_killed_is_made_again(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    folder = expand(path)
    (folder / SOURCE_NAME).unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    (folder / ".model.safetensors.1.tmp").write_bytes(b"left behind")
    assert load_torch(path).facts.sha256
    assert not list(folder.glob(".*.tmp"))


def test_two_loads_at_once_make_one_whole_expansion(tmp_path: Path, own_cache: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(expand, [path] * 4))
    assert len(folders) == 1
    assert [each.name for each in (own_cache / "torch").iterdir()] == [folders.pop().name]


def test_a_truncated_file_is_refused_and_leaves_no_cache(tmp_path: Path, own_cache: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    content = path.read_bytes()
    for size in (len(content) - 1, len(content) // 2, 100, 3, 0):
        path.write_bytes(content[:size])
        with pytest.raises(BadFile):
            load_torch(path)
    assert not (own_cache / "torch").exists()


def test_an_unknown_architecture_is_refused_by_name(tmp_path: Path) -> None:
    path = write_tiny_gguf(
        tmp_path / "m.gguf", tiny_model("llama"), "llama", **{"general.architecture": "mamba"}
    )
    with pytest.raises(BadFile, match="mamba"):
        load_torch(path)


def test_a_full_disk_says_so_and_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    monkeypatch.setattr("seemant.models.expand.write_safetensors", _no_space)
    with pytest.raises(DiskFull):
        load_torch(path)
    monkeypatch.undo()
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    assert load_torch(path).facts.sha256


def test_an_artefact_folder_means_the_model_inside(tmp_path: Path) -> None:
    model = tiny_model("llama")
    write_tiny_gguf(tmp_path / "model.gguf", model, "llama")
    (tmp_path / "config.json").write_text("{}")
    assert torch.equal(logits(load_torch(tmp_path).model, tiny_ids()), logits(model, tiny_ids()))


def _saved(model: object, family: str, tmp_path: Path, **more: object) -> Path:
    folder = tmp_path / "hf"
    model.save_pretrained(folder, **more)  # type: ignore[attr-defined]
    tokenizer = expand(write_tiny_gguf(tmp_path / "t.gguf", model, family)) / "tokenizer.json"
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    return folder


def _no_space(path: Path, tensors: object) -> None:
    raise OSError(28, "No space left on device", str(path))
