"""HF folder to GGUF, against a writer of other tables, against its inverse, against llama.cpp."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seemant.core.errors import BadFile
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.models.backends.open import open_backend
from seemant.models.backends.protocol import Sampling
from seemant.models.hf_config import config_of_metadata
from seemant.models.hf_folder import read_config, read_state
from seemant.models.hf_to_gguf import hf_to_gguf, metadata_of_config
from seemant.models.load import load_torch
from seemant.models.resolve import resolve
from seemant.models.tokenizer import tokenizer_of_metadata
from tests.models.tiny import N_VOCAB, byte_level_metadata, tiny_model, write_tiny_gguf


def folder_of(path: Path, family: str, *, tied: bool = True) -> tuple[Path, Any]:
    model = tiny_model(family, tied=tied)
    model.save_pretrained(path)
    tokenizer_of_metadata(byte_level_metadata()).save(path)
    return path, model


def written(tmp_path: Path, family: str, *, tied: bool = True) -> tuple[GgufFile, Any]:
    folder, model = folder_of(tmp_path / "hf", family, tied=tied)
    out = tmp_path / "model.gguf"
    hf_to_gguf(folder, out, name="tiny", languages=("hi", "en"), licence="CC0-1.0")
    return open_gguf(out), model


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_tensors_are_those_of_an_independent_writer(
    family: str, tied: bool, tmp_path: Path
) -> None:
    ours, model = written(tmp_path, family, tied=tied)
    theirs = open_gguf(write_tiny_gguf(tmp_path / "theirs.gguf", model, family))
    assert set(ours.tensors) == set(theirs.tensors)
    for name in theirs.tensors:
        np.testing.assert_array_equal(ours.dequantize(name), theirs.dequantize(name), err_msg=name)
    for key, value in theirs.metadata.items():
        if key not in ("general.name", "tokenizer.ggml.padding_token_id"):
            assert ours.metadata[key] == value, key


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_a_config_comes_back_from_its_metadata(family: str, tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf", family)
    config = read_config(folder)
    plain = {
        key: getattr(value, "value", value) for key, value in metadata_of_config(config).items()
    }
    back = config_of_metadata(plain, n_tokens=N_VOCAB, tied=True)
    for key in back.keys() - {"bos_token_id", "eos_token_id", "pad_token_id", "dtype", "head_dim"}:
        assert back[key] == pytest.approx(config[key]) or back[key] == config[key], key


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_the_expanded_file_holds_the_same_bits(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    folder, _ = folder_of(tmp_path / "hf", family)
    hf_to_gguf(folder, tmp_path / "model.gguf", name="tiny")
    again = dict(load_torch(tmp_path / "model.gguf").model.named_parameters())
    state = read_state(folder)
    assert set(state) <= set(again)
    for name, values in state.items():
        assert torch.equal(again[name], values), name


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_llama_cpp_gives_the_same_logits_ids_and_greedy_text(family: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    folder, model = folder_of(tmp_path / "hf", family)
    hf_to_gguf(folder, tmp_path / "model.gguf", name="tiny")
    tokenizer = tokenizer_of_metadata(byte_level_metadata())
    text = "the theatre of three कन्नड ಕನ್ನಡ 12 words"
    with open_backend(tmp_path / "model.gguf", strict=True, context=128) as backend:
        ids = backend.encode(text)
        assert ids == tokenizer.encode(text)
        rows = np.concatenate(list(backend.logprobs(ids, 1)))
        answer = backend.generate(text, Sampling(max_new_tokens=12))
    with torch.no_grad():
        ours = torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1], -1).numpy()
        greedy = list(ids)
        for _ in range(12):
            greedy.append(int(model(torch.tensor([greedy])).logits[0, -1].argmax()))
    np.testing.assert_allclose(rows, ours, atol=2e-3)
    if tokenizer.eos_id not in greedy:
        assert answer.text == tokenizer.decode(greedy[len(ids) :])


def test_what_the_file_says_of_itself_is_what_a_reference_resolves_to(tmp_path: Path) -> None:
    written(tmp_path, "llama")
    found = resolve(f"path:{tmp_path / 'model.gguf'}")
    assert (found.licence, found.languages) == ("CC0-1.0", ("hi", "en"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        ({"rope_parameters": None, "rope_scaling": {"rope_type": "yarn"}}, "'yarn'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5"),
        (
            {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25}},
            "partial_rotary_factor 0.25",
        ),
        ({"use_sliding_window": True, "sliding_window": 64}, "use_sliding_window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding window"),
        ({"mlp_bias": True}, "mlp_bias"),
    ],
)
def test_a_config_whose_function_would_change_is_refused_by_name(
    said: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder, _ = folder_of(tmp_path / "hf", "llama")
    with pytest.raises(BadFile, match=message):
        metadata_of_config({**read_config(folder), **said})


def test_an_old_config_s_plain_rotation_is_read_as_it_stands(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf", "llama")
    old = {"rope_parameters": None, "rope_scaling": None, "rope_theta": 5e5}
    plain = {"mlp_bias": False, "use_sliding_window": False, "partial_rotary_factor": 1.0}
    found = metadata_of_config({**read_config(folder), **old, **plain})
    assert found["llama.rope.freq_base"].value == 5e5


def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf", "gemma3")
    with pytest.raises(BadFile, match="'gemma3'"):
        hf_to_gguf(folder, tmp_path / "model.gguf", name="tiny")
    folder, _ = folder_of(tmp_path / "llama", "llama")
    said = json.loads((folder / "tokenizer.json").read_text())
    said["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(BadFile, match="cuts words"):
        hf_to_gguf(folder, tmp_path / "model.gguf", name="tiny")
    assert not (tmp_path / "model.gguf").exists()
