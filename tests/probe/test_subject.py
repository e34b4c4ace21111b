"""What a model is called, and which of its files is opened."""

import json
from pathlib import Path

import pytest

from seemant.core.errors import InputError
from seemant.core.stage import Input
from seemant.probe.subject import made_from_another, model_file, subject_of


def _input(path: Path, label: str) -> Input:
    return Input(path, label, "0" * 64)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("embedded:gemma-3-270m", "gemma-3-270m"),
        ("hf:Qwen/Qwen2.5-0.5B@main", "Qwen2.5-0.5B"),
        ("path:/models/small/model.gguf", "small"),
        ("path:/models/tiny-q4.gguf", "tiny-q4"),
        ("openai:http://127.0.0.1:1/v1#qwen", "qwen"),
        ("local.gguf", "local"),
    ],
)
def test_a_model_is_named_by_its_reference(tmp_path: Path, label: str, name: str) -> None:
    model = _input(tmp_path / "none.gguf", label)
    assert subject_of(model, None) == name
    assert subject_of(model, _input(tmp_path, "train:1")) == f"{name}+lora"


def test_a_variant_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"")
    variant = _input(tmp_path, "compress:0123")
    model = _input(tmp_path / "none.gguf", "embedded:gemma-3-270m")
    (tmp_path / "variant.json").write_text(json.dumps({"name": "q4"}), encoding="utf-8")
    assert subject_of(model, variant, variant) == "gemma-3-270m+lora/q4"
    (tmp_path / "variant.json").write_text(json.dumps({"subject": "g/q4"}), encoding="utf-8")
    assert subject_of(variant, None) == "g/q4"
    assert subject_of(model, None, variant) == "g/q4"
    assert model_file(variant) == tmp_path / "model.gguf"


def test_a_torch_only_variant_has_no_file_to_open(tmp_path: Path) -> None:
    (tmp_path / "variant.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="torch-only"):
        model_file(_input(tmp_path, "compress:0123"))


def test_an_hf_folder_is_opened_as_it_is(tmp_path: Path) -> None:
    assert model_file(_input(tmp_path, "path:x")) == tmp_path


@pytest.mark.parametrize(
    ("base", "adapter", "told"),
    [
        ({"label": "a", "sha256": "m"}, None, None),
        ({"label": "a", "sha256": "n"}, None, "a"),
        ({"label": "a", "sha256": "m"}, {"label": "b", "sha256": "x"}, "a + b"),
        (None, None, None),
    ],
)
def test_a_variant_of_another_model_is_told_by_its_hashes(
    tmp_path: Path, base: object, adapter: object, told: str | None
) -> None:
    text = json.dumps({"base": base, "adapter": adapter})
    (tmp_path / "variant.json").write_text(text, encoding="utf-8")
    model, variant = Input(tmp_path / "x", "m", "m"), Input(tmp_path, "v", "v")
    assert made_from_another(model, None, variant) == told
    if adapter:
        assert made_from_another(model, Input(tmp_path, "b", "x"), variant) is None
