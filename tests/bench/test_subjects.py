"""What is measured, and what it is called."""

import json
from pathlib import Path

import pytest

from seemant.bench.subjects import kv_bytes, subjects_of
from seemant.core.errors import BadConfig, BadFile, InputError
from seemant.core.stage import Input
from seemant.models.backends.tiny import HEADS, KV_HEADS, LAYERS, N_TOKENS, WIDTH


def test_a_variant_is_called_by_its_subject_and_a_model_by_its_reference(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    variant, adapter = tmp_path / "variant", tmp_path / "trained"
    variant.mkdir()
    adapter.mkdir()
    (variant / "model.gguf").symlink_to(tiny_gguf)
    (variant / "variant.json").write_text(json.dumps({"subject": "gemma-3-270m+lora/q4_0-g32"}))
    (adapter / "adapter.gguf").write_bytes(b"x" * 500)
    found, skipped = subjects_of(
        {
            "variant/a": Input(variant, "runs/compress/1", "1"),
            "variant/b": Input(tiny_gguf, "embedded:gemma-3-270m", "2"),
            "variant/c": Input(tiny_gguf, "embedded:gemma-3-270m", "2"),
            "adapter/c": Input(adapter, "runs/train/2", "3"),
        }
    )
    names = ["gemma-3-270m+lora/q4_0-g32", "gemma-3-270m", "gemma-3-270m+lora"]
    assert [subject.name for subject in found] == names
    assert skipped == []
    size = tiny_gguf.stat().st_size
    assert [subject.file_bytes for subject in found] == [size, size, size + 500]
    assert found[0].model == variant / "model.gguf"
    assert (found[2].adapter, found[0].n_vocab) == (adapter, N_TOKENS)
    assert found[0].kv_bytes_per_token == 2 * LAYERS * KV_HEADS * 2 * (WIDTH // HEADS)


def test_what_cannot_be_measured_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    tiny = Input(tiny_gguf, "tiny", "1")
    codes = tmp_path / "codes"
    codes.mkdir()
    (codes / "variant.json").write_text("{}")
    with pytest.raises(InputError, match="nothing to measure"):
        subjects_of({"variant/a": Input(codes, "codes", "2")})
    with pytest.raises(BadFile, match="folder"):
        subjects_of({"variant/a": Input(tmp_path, "hf", "2")})
    with pytest.raises(BadConfig, match="adapter/b"):
        subjects_of({"variant/a": tiny, "adapter/b": tiny})
    with pytest.raises(BadConfig, match="both 'tiny'"):
        subjects_of({"variant/a": tiny, "variant/b": tiny})


def test_the_cache_grows_by_keys_and_values_of_every_layer() -> None:
    metadata = {
        "general.architecture": "x",
        "x.block_count": 3,
        "x.embedding_length": 64,
        "x.attention.head_count": 4,
        "x.attention.head_count_kv": 2,
        "x.attention.key_length": 32,
    }
    assert kv_bytes(metadata) == 2 * 3 * 2 * (32 + 16)


def test_a_file_without_its_width_is_refused_by_the_keys_name() -> None:
    metadata = {"general.architecture": "x", "x.block_count": 3, "x.attention.head_count": 4}
    with pytest.raises(BadFile, match=r"x\.embedding_length"):
        kv_bytes(metadata)


def test_an_adapter_of_another_base_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "student.json").write_text(json.dumps({"base": "other", "base_sha256": "9"}))
    inputs = {
        "variant/a": Input(tiny_gguf, "tiny", "1"),
        "adapter/a": Input(tmp_path, "train:1", "2"),
    }
    with pytest.raises(BadFile, match="trained on other"):
        subjects_of(inputs)
