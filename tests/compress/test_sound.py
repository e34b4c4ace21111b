"""A damaged model is refused by every stage that starts from one, before it works or writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.compress.config import CompressConfig
from seemant.compress.plan import plan_tensors
from seemant.compress.qat.config import QatConfig
from seemant.compress.qat.run import STAGE as QAT
from seemant.compress.reference.config import ReferenceConfig
from seemant.compress.reference.run import STAGE as DITHER
from seemant.compress.rotate.config import RotateConfig
from seemant.compress.rotate.run import STAGE as ROTATE
from seemant.compress.rounding import SlicewiseRounding
from seemant.compress.run import STAGE as COMPRESS
from seemant.compress.sound import check_finite, check_sound
from seemant.compress.source import Source
from seemant.compress.vocab.config import TrimConfig
from seemant.compress.vocab.run import STAGE as TRIM
from seemant.core.errors import BadFile
from seemant.core.stage import execute, file_input
from seemant.formats.ggml_types import row_bytes
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.backends.tiny import write_tiny

NAME = "blk.0.ffn_up.weight"
HALVES = [  # type, and where in its block an fp16 number stands
    *(("F16", 0), ("Q8_0", 0), ("Q4_0", 0), ("Q4_1", 0), ("Q4_1", 2), ("Q5_0", 0)),
    *(("Q5_1", 0), ("Q5_1", 2), ("Q2_K", 80), ("Q2_K", 82), ("Q3_K", 108)),
    *(("Q4_K", 0), ("Q4_K", 2), ("Q5_K", 0), ("Q5_K", 2), ("Q6_K", 208), ("IQ4_NL", 0)),
]
INFINITE, NAN, LARGEST = 0x7C00, 0x7E01, 0x7BFF
TEXT = "the rain falls on the hill and the river runs to the sea"


def stored(folder: Path, kind: str, raw: np.ndarray) -> GgufFile:
    """A file of one matrix of 512 columns, given its rows' bytes."""
    path = folder / f"{kind}.gguf"
    write_gguf(path, {}, {NAME: TensorData(kind, (len(raw), 512), raw)})
    return open_gguf(path)


@pytest.mark.parametrize(("kind", "at"), HALVES)
@pytest.mark.parametrize("bits", [INFINITE, NAN, INFINITE | 0x8000, LARGEST])
def test_a_scale_that_is_no_number_is_found_in_every_type(
    tmp_path: Path, kind: str, at: int, bits: int
) -> None:
    raw = np.full((5, row_bytes(kind, 512)), 0x11, np.uint8)
    raw[3, at : at + 2] = np.array([bits], "<u2").view(np.uint8)
    file = stored(tmp_path, kind, raw)
    with np.errstate(all="ignore"):
        finite = np.isfinite(file.dequantize(NAME)).all(1)
    assert finite.tolist() == [True, True, True, bits == LARGEST, True]
    if bits == LARGEST:
        check_finite(file)
        return
    with pytest.raises(BadFile, match=r"(nan|inf) among the weights") as caught:
        check_finite(file)
    assert caught.value.where == f"{file.path}, tensor {NAME}, row 3"


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_floats_are_looked_at_one_by_one_and_slices_count_on(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = np.full((9, 512), 3e38, np.float32)
    w[7, 11] = -np.inf
    raw = w if kind == "F32" else (w.view(np.uint32) >> 16).astype("<u2")
    monkeypatch.setattr("seemant.compress.sound._SLICE_BYTES", 2 * raw[0].nbytes)
    with pytest.raises(BadFile, match="-inf among the weights") as caught:
        check_finite(stored(tmp_path, kind, raw.view(np.uint8).reshape(9, -1)))
    assert str(caught.value.where).endswith("row 7")


def test_a_type_that_nothing_reads_is_left_to_who_needs_it(tmp_path: Path) -> None:
    check_finite(stored(tmp_path, "I8", np.full((2, 512), 0x7C, np.uint8)))


def test_what_an_adapter_spoilt_is_told_from_the_model(tmp_path: Path) -> None:
    file = damaged(tmp_path / "m.gguf")
    w = file.dequantize(NAME)
    check_sound(file, {NAME: w})
    w[5, 7] = np.nan
    with pytest.raises(BadFile, match="nan among the weights") as caught:
        check_sound(file, {NAME: w})
    assert "adapter merged" in str(caught.value.where) and "row 5" in str(caught.value.where)


def damaged(path: Path, *, without: str = "", **spoilt: float) -> GgufFile:
    """The tiny model without a tensor, or with a number in one; in a name "_in_" is a dot."""
    write_tiny(path)
    file = open_gguf(path)
    values = {name: file.dequantize(name) for name in file.tensors if name != without}
    for name, number in spoilt.items():
        values[name.replace("_in_", ".") + ".weight"].reshape(-1)[70 % 64] = number
    write_gguf(path, file.fields, {n: TensorData("F32", v.shape, v) for n, v in values.items()})
    return open_gguf(path)


STAGES: list[tuple[Any, Any]] = [
    (COMPRESS, CompressConfig()),
    (COMPRESS, CompressConfig(bits=8, symmetric=False)),
    (ROTATE, RotateConfig()),
    (TRIM, TrimConfig(scored=0)),
    (DITHER, ReferenceConfig()),
    (QAT, QatConfig(length=16)),
    *(
        (COMPRESS, CompressConfig(languages=("en",), calibration_tokens=512, **more))
        for more in (
            {"method": "gptq"},
            {"method": "imatrix"},
            {"method": "wanda"},
            {"prepare": "awq"},
            {"search": True, "budget": "1MB"},
        )
    ),
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any, Path], None]:
    """Run a stage that may neither calibrate, nor measure, nor train."""
    for long in ("calibrated.LayerStream", "searched.merged_decoder", "search_values.LayerStream"):
        monkeypatch.setattr(f"seemant.compress.{long}", None)
    (tmp_path / "text.txt").write_text(f"{TEXT}\n" * 100)

    def go(stage: Any, config: Any, model: Path) -> None:
        roles = [role for role in ("paragraphs", "calibration") if role in stage.roles]
        inputs = {role: file_input(tmp_path / "text.txt") for role in roles}
        inputs["model"] = file_input(model, "path:m.gguf")
        execute(stage, config, inputs, store=tmp_path / "runs")

    return go


@pytest.mark.parametrize(("stage", "config"), STAGES)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_norm_that_is_no_number_stops_every_stage_before_it_writes(
    tmp_path: Path,
    run: Callable[[Any, Any, Path], None],
    stage: Any,
    config: Any,
    number: float,
) -> None:
    damaged(tmp_path / "m.gguf", blk_in_0_in_attn_norm=number)
    with pytest.raises(BadFile, match=f"{number} among the weights") as caught:
        run(stage, config, tmp_path / "m.gguf")
    assert caught.value.where == f"{tmp_path / 'm.gguf'}, tensor blk.0.attn_norm.weight"
    assert not list((tmp_path / "runs").rglob("*.gguf*"))


@pytest.mark.parametrize(("stage", "config"), STAGES[:7])
def test_a_model_that_lacks_a_matrix_is_refused_by_every_stage(
    tmp_path: Path, run: Callable[[Any, Any, Path], None], stage: Any, config: Any
) -> None:
    damaged(tmp_path / "m.gguf", without="blk.1.ffn_up.weight")
    with pytest.raises(BadFile, match=r"missing: model\.layers\.1\.mlp\.up_proj"):
        run(stage, config, tmp_path / "m.gguf")
    assert not list((tmp_path / "runs").rglob("*.gguf*"))


def test_a_damaged_variant_is_not_trained(tmp_path: Path) -> None:
    base, text = damaged(tmp_path / "m.gguf").path, tmp_path / "text.txt"
    text.write_text(f"{TEXT}\n" * 100)
    model = file_input(base, "path:m.gguf")
    variant = execute(COMPRESS, CompressConfig(), {"model": model}, store=tmp_path / "runs")
    file = open_gguf(variant.path / "model.gguf")
    at = (file.path.read_bytes()).index(file.tensors[NAME].raw().tobytes())
    with file.path.open("r+b") as written:
        written.seek(at + 18 * 2 * 4)  # row 4 of two Q4_0 blocks each
        written.write(NAN.to_bytes(2, "little"))
    inputs = {"model": model, "paragraphs": file_input(text)}
    inputs["variant"] = file_input(variant.path, "compress:m")
    with pytest.raises(BadFile, match="nan among the weights") as caught:
        execute(QAT, QatConfig(length=16), inputs, store=tmp_path / "runs")
    assert caught.value.where == f"{file.path}, tensor {NAME}, row 4"


def test_a_method_that_meets_one_later_names_the_row_of_the_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seemant.compress.source._SLICE_WEIGHTS", 2 * 64)
    file, config = damaged(tmp_path / "m.gguf"), CompressConfig()
    w = file.dequantize(NAME)
    w[5, 7] = np.nan
    rounding = SlicewiseRounding(Source(file, {NAME: w}), plan_tensors(file, config), config)
    with pytest.raises(BadFile) as caught:
        list(rounding.rows(NAME))
    assert caught.value.where == f"tensor {NAME}, row 5"
