"""Folders for transformers and vLLM: the integers of the file, in their places."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from seemant.compress.verify import VariantMismatch
from seemant.core.errors import BadConfig, BadFile
from seemant.core.stage import execute, file_input
from seemant.export import compressed_tensors, int32_words
from seemant.export.compressed_tensors import read_packed, verify_folder, write_compressed_tensors
from seemant.export.config import ExportConfig
from seemant.export.int32_words import pack_words, unpack_words
from seemant.export.packed_schemes import Scheme, quantization_config, schemes_of
from seemant.export.run import PACKED_NAME, STAGE
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.tensor_format import fit_format, format_of, pack_format, snap_format
from tests.models.tiny import FAMILIES, tiny_ids, tiny_model, write_tiny_gguf

Formats = dict[str, str]


def rounded_file(source: Path, out: Path, formats: Formats, *, pruned: bool = False) -> Path:
    """The model with the matrices whose names hold a key rounded to its format."""
    file = open_gguf(source)
    tensors = {}
    for name, tensor in file.tensors.items():
        values = file.dequantize(name)
        kind = next((f for part, f in formats.items() if part in name), None)
        if kind is None or values.ndim != 2:
            tensors[name] = TensorData("F32", values.shape, values)
            continue
        if pruned:
            values.reshape(-1, 4)[:, 1:3] = 0
        format = format_of(kind)
        params = fit_format(values, format)
        raw = pack_format(snap_format(values, params), params, format)
        tensors[name] = TensorData(str(format.container), tensor.shape, raw)
    write_gguf(out, file.fields, tensors)
    return out


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A transformers model and its F32 file."""
    model = tiny_model("llama")
    return model, write_tiny_gguf(tmp_path_factory.mktemp("m") / "f32.gguf", model, "llama")


@given(st.sampled_from([4, 8]), st.integers(1, 3), st.integers(1, 40), st.integers(0, 99))
def test_packed_words_come_back(bits: int, rows: int, columns: int, seed: int) -> None:
    half = 1 << (bits - 1)
    codes = np.random.default_rng(seed).integers(-half, half, (rows, columns)).astype(np.int16)
    words = pack_words(codes, bits)
    assert words.shape == (rows, -(-columns * bits // 32))
    assert (unpack_words(words, bits, columns) == codes).all()


def test_the_first_code_lies_in_the_lowest_bits() -> None:
    codes = np.array([[-8, -7, 0, 7, -8, -8, -8, 7]], np.int16)  # stored: 0 1 8 f 0 0 0 f
    assert pack_words(codes, 4).view(np.uint32)[0, 0] == 0xF000F810
    assert pack_words(np.array([[-128, -127, 0, 127]], np.int16), 8).view(np.uint32) == 0xFF800100


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["q4_0", "q8_0", "int4-sym-channel", "int3-sym-g32"])
def test_codes_times_scales_are_the_model_s_weights(tmp_path: Path, family: str, kind: str) -> None:
    model = tiny_model(family)
    source = write_tiny_gguf(tmp_path / "f32.gguf", model, family)
    file = rounded_file(source, tmp_path / "model.gguf", {"blk.": kind})
    schemes = write_compressed_tensors(file, tmp_path / "hf")
    weights = dict(model.named_parameters())
    packed = list(read_packed(tmp_path / "hf"))
    assert {name for name, _, _ in packed} == set(schemes)
    assert len(packed) == 7 * (4 if family == "phi3" else 7)
    for name, codes, scale in packed:
        w = weights[f"{name}.weight"].detach().numpy()
        d = np.repeat(scale, w.shape[1] // scale.shape[1], axis=1)
        assert (np.abs(codes * d - w) <= 1.01 * np.abs(d)).all(), name
        group = None if kind == "int4-sym-channel" else 32
        assert schemes[name] == Scheme(8 if kind == "q8_0" else 4, group)
    dense = load_file(tmp_path / "hf" / "model.safetensors")
    for name, values in weights.items():
        if name.removesuffix(".weight") not in schemes:
            np.testing.assert_allclose(dense[name], values.detach().numpy(), atol=1e-6)


def test_a_scale_of_a_wide_group_is_stored_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for group in (32, 64, 128, None):
        format = format_of("int4-sym-channel" if group is None else f"int4-sym-g{group}")
        tensors = {}
        for at, columns in enumerate((256, 512)):
            w = rng.standard_normal((3, columns)).astype(np.float32)
            params = fit_format(w, format)
            raw = pack_format(snap_format(w, params), params, format)
            tensors[f"blk.{at}.ffn_up.weight"] = TensorData("Q4_0", w.shape, raw)
        write_gguf(tmp_path / "m.gguf", {}, tensors)
        assert set(schemes_of(open_gguf(tmp_path / "m.gguf")).values()) == {Scheme(4, group)}


def test_one_scheme_targets_the_class_and_several_name_their_modules() -> None:
    one = quantization_config({"a": Scheme(4, 32)}, ["a", "b"])
    assert one["config_groups"]["group_0"]["targets"] == ["Linear"]
    assert one["ignore"] == ["b", "lm_head"]
    two = quantization_config({"a": Scheme(4, 32), "b": Scheme(8, None)}, ["a", "b"])
    assert [g["targets"] for g in two["config_groups"].values()] == [["a"], ["b"]]
    assert two["config_groups"]["group_1"]["weights"]["strategy"] == "channel"


def test_two_of_four_stays_in_packed_and_in_dense_folders(
    tmp_path: Path, llama: tuple[Any, Path]
) -> None:
    for kind in ("q4_0", "f16"):
        file = rounded_file(llama[1], tmp_path / f"{kind}.gguf", {"blk.": kind}, pruned=True)
        write_compressed_tensors(file, tmp_path / kind, dense="F16")
    for _, codes, _ in read_packed(tmp_path / "q4_0"):
        assert ((codes.reshape(-1, 4) == 0).sum(1) >= 2).all()
    config = json.loads((tmp_path / "f16" / "config.json").read_text())
    assert "quantization_config" not in config and not list(read_packed(tmp_path / "f16"))
    dense = load_file(tmp_path / "f16" / "model.safetensors")
    matrices = [v for k, v in dense.items() if ".layers." in k and v.ndim == 2]
    assert len(matrices) == 49 and matrices[0].dtype == np.float16
    assert all(((m.reshape(-1, 4) == 0).sum(1) >= 2).all() for m in matrices)


@pytest.mark.parametrize("kind", ["q4_1", "q5_0"])
def test_a_grid_that_the_format_cannot_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, llama: tuple[Any, Path], kind: str
) -> None:
    file = rounded_file(llama[1], tmp_path / "m.gguf", {"blk.3.ffn_up": kind})
    with pytest.raises(BadConfig, match=f"stored as {kind.upper()}") as caught:
        write_compressed_tensors(file, tmp_path / "hf")
    assert "blk.3.ffn_up.weight" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["m.gguf"]


def test_other_integers_are_an_error_of_ours_and_leave_nothing(
    tmp_path: Path, llama: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = rounded_file(llama[1], tmp_path / "m.gguf", {"blk.": "q4_0"})

    def wrong(codes: np.ndarray, bits: int) -> np.ndarray:
        words = int32_words.pack_words(codes, bits)
        words[-1, -1] ^= 1
        return words

    monkeypatch.setattr(compressed_tensors, "pack_words", wrong)
    with pytest.raises(VariantMismatch, match="other integers"):
        write_compressed_tensors(file, tmp_path / "hf")
    assert [p.name for p in tmp_path.iterdir()] == ["m.gguf"]


def test_a_folder_of_another_kind_is_refused(tmp_path: Path, llama: tuple[Any, Path]) -> None:
    with pytest.raises(BadFile, match="not a folder"):
        list(read_packed(tmp_path))
    file = rounded_file(llama[1], tmp_path / "m.gguf", {"blk.": "q4_0"})
    other = rounded_file(llama[1], tmp_path / "n.gguf", {"blk.": "int3-sym-g32"})
    write_compressed_tensors(file, tmp_path / "hf")
    verify_folder(file, tmp_path / "hf")
    with pytest.raises(VariantMismatch):
        verify_folder(other, tmp_path / "hf")


@pytest.mark.parametrize("formats", [{"blk.": "q4_0"}, {"attn_": "q4_0", "ffn_": "q8_0"}])
def test_transformers_computes_with_the_same_values(
    tmp_path: Path, llama: tuple[Any, Path], formats: Formats
) -> None:
    pytest.importorskip("compressed_tensors", reason="pip install compressed-tensors to run this")
    import torch
    from transformers import AutoModelForCausalLM

    from seemant.models.load import load_torch

    file = rounded_file(llama[1], tmp_path / "m.gguf", formats)
    write_compressed_tensors(file, tmp_path / "hf")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32)
    with torch.no_grad():
        got = loaded(tiny_ids()).logits
        expected = load_torch(file).model(tiny_ids()).logits
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_export_writes_the_folder_beside_the_file_when_asked(
    tmp_path: Path, llama: tuple[Any, Path]
) -> None:
    file = rounded_file(llama[1], tmp_path / "model.gguf", {"blk.": "q4_0"})
    done = execute(
        STAGE,
        ExportConfig(compressed_tensors=True),
        {"model": file_input(file, "path:model.gguf")},
        store=tmp_path / "runs",
    )
    verify_folder(done.path / "model.gguf", done.path / PACKED_NAME)
    assert len(list(read_packed(done.path / PACKED_NAME))) == 7 * 7
    plain = execute(
        STAGE,
        ExportConfig(),
        {"model": file_input(file, "path:model.gguf")},
        store=tmp_path / "runs",
    )
    assert not (plain.path / PACKED_NAME).exists()


@pytest.mark.parametrize(
    ("formats", "why", "cure"),
    [
        ({"blk.": "f16"}, "nothing in this model's blocks is quantised", "--hf"),
        ({"blk.": "q4_1"}, "stored as Q4_1", "q4_0"),
    ],
)
def test_export_refuses_what_cannot_be_packed_before_it_writes(
    tmp_path: Path,
    llama: tuple[Any, Path],
    monkeypatch: pytest.MonkeyPatch,
    formats: Formats,
    why: str,
    cure: str,
) -> None:
    file = rounded_file(llama[1], tmp_path / "model.gguf", formats)
    monkeypatch.setattr("seemant.export.bundle.place", lambda *_, **__: pytest.fail("written"))
    given = {"model": file_input(file, "path:model.gguf")}
    with pytest.raises(BadConfig, match=why) as caught:
        execute(STAGE, ExportConfig(compressed_tensors=True), given, store=tmp_path / "runs")
    assert caught.value.fix and cure in caught.value.fix
    assert not list((tmp_path / "runs").rglob("*.*"))
