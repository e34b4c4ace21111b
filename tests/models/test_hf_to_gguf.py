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
from seemant.models.gguf_settings import metadata_of_config
from seemant.models.hf_config import config_of_metadata
from seemant.models.hf_folder import read_config, read_state
from seemant.models.hf_to_gguf import hf_to_gguf
from seemant.models.load import load_torch
from seemant.models.resolve import resolve
from seemant.models.tokenizer import tokenizer_of_metadata
from tests.models.tiny import FAMILIES, N_VOCAB, byte_level_metadata, tiny_model, write_tiny_gguf


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


@pytest.mark.parametrize("family", FAMILIES)
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


@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_comes_back_from_its_metadata(family: str, tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf", family)
    config = read_config(folder)
    plain = {
        key: getattr(value, "value", value) for key, value in metadata_of_config(config).items()
    }
    back = config_of_metadata(plain, n_tokens=N_VOCAB, tied=True)
    unsaid = {"bos_token_id", "eos_token_id", "pad_token_id", "dtype", "head_dim"}
    for key in back.keys() - unsaid - {"original_max_position_embeddings"}:
        assert back[key] == config[key] or back[key] == pytest.approx(config[key]), key


def test_biases_that_only_the_tensors_tell_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    model = tiny_model("llama", attention_bias=True)
    model.save_pretrained(tmp_path / "hf")
    tokenizer_of_metadata(byte_level_metadata()).save(tmp_path / "hf")
    hf_to_gguf(tmp_path / "hf", tmp_path / "model.gguf", name="tiny")
    again = load_torch(tmp_path / "model.gguf").model
    ids = torch.arange(40, 60)[None]
    torch.testing.assert_close(again(ids).logits, model(ids).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
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
        if family == "gemma3" and name.endswith("norm.weight"):  # stored as w + 1
            torch.testing.assert_close(again[name], values, rtol=0, atol=1e-7)
        else:
            assert torch.equal(again[name], values), name


@pytest.mark.parametrize("family", FAMILIES)
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
    np.testing.assert_allclose(rows, ours, atol=5e-3)  # llama.cpp keeps keys and values in F16
    if tokenizer.eos_id not in greedy:
        assert answer.text == tokenizer.decode(greedy[len(ids) :])


def test_what_the_file_says_of_itself_is_what_a_reference_resolves_to(tmp_path: Path) -> None:
    written(tmp_path, "llama")
    found = resolve(f"path:{tmp_path / 'model.gguf'}")
    assert (found.licence, found.languages) == ("CC0-1.0", ("hi", "en"))


WINDOWS = {
    "use_sliding_window": True,
    "max_window_layers": 2,
    "sliding_window": 64,
    "layer_types": None,
}
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}


@pytest.mark.parametrize(
    ("family", "said", "message"),
    [
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "'dynamic'"),
        ("llama", {"rope_parameters": None, "rope_scaling": {"rope_type": "yarn"}}, "'yarn'"),
        ("llama", {"rope_scaling": LONGROPE}, "'longrope'"),
        ("qwen2", {"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "low_freq_factor"),
        (
            "qwen2",
            {
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 2.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                }
            },
            "'llama3'",
        ),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
        (
            "llama",
            {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25}},
            "partial_rotary_factor = 0.25",
        ),
        ("qwen2", WINDOWS, "use_sliding_window"),
        (
            "qwen3",
            {
                "use_sliding_window": True,
                "layer_types": ["full_attention"] * 6 + ["sliding_attention"],
                "sliding_window": 8,
            },
            "sliding window",
        ),
        ("llama", {"mlp_bias": True}, "mlp_bias"),
        ("qwen3", {"attention_bias": True}, "attention_bias"),
        ("gemma3", {"query_pre_attn_scalar": 40}, "query_pre_attn_scalar"),
        ("gemma3", {"layer_types": ["sliding_attention"] * 7}, "layer_types"),
        ("gemma3", {"rope_parameters": None, "rope_local_base_freq": 2e4}, "rope_local_base_freq"),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("smollm3", {"no_rope_layers": [1, 1, 1, 1, 1, 1, 1]}, "no_rope_layers"),
        ("smollm3", {"use_sliding_window": True, "sliding_window": 64, "layer_types": None}, "sli"),
        ("phi3", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear'"),
        ("phi3", {"rope_scaling": {**LONGROPE, "short_factor": [1.0] * 7}}, "7 factors"),
    ],
)
def test_a_config_whose_function_would_change_is_refused_by_name(
    family: str, said: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadFile, match=message):
        metadata_of_config({**tiny_model(family).config.to_dict(), **said})


def test_an_old_config_s_plain_rotation_is_read_as_it_stands(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf", "llama")
    old = {"rope_parameters": None, "rope_scaling": None, "rope_theta": 5e5}
    plain = {"mlp_bias": False, "use_sliding_window": False, "partial_rotary_factor": 1.0}
    found = metadata_of_config({**read_config(folder), **old, **plain})
    assert found["llama.rope.freq_base"].value == 5e5


def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "llama", "llama")
    said = json.loads((folder / "tokenizer.json").read_text())
    said["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(BadFile, match="cuts words"):
        hf_to_gguf(folder, tmp_path / "model.gguf", name="tiny")
    assert not (tmp_path / "model.gguf").exists()
