"""Dithered references: off the grid, back on it by rounding, marked, never exported."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seemant.compress.reference.config import ReferenceConfig
from seemant.compress.reference.dither import SEED_KEY, cells, dithered_rows, write_dithered
from seemant.compress.reference.run import STAGE
from seemant.compress.reference.which import refuse_dithered, which
from seemant.core.errors import BadConfig, BadFile
from seemant.core.stage import Done, execute, file_input
from seemant.export.compressed_tensors import write_compressed_tensors
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.tensor_format import (
    fit_format,
    format_of,
    pack_format,
    snap_format,
    unpack_format,
)

KINDS = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q3_k", "q4_k", "q5_k", "q6_k"]
Make = Callable[..., Path]


def one_matrix(folder: Path, kind: str, *, rows: int = 12, columns: int = 512) -> GgufFile:
    """A file that holds one matrix in a format, some of its groups zero."""
    format = format_of(kind)
    w = np.random.default_rng(3).standard_normal((rows, columns)).astype(np.float32)
    w[0] = 0
    params = fit_format(w, format)
    raw = pack_format(snap_format(w, params), params, format)
    tensor = TensorData(str(format.container), w.shape, raw)
    write_gguf(folder / f"{kind}.gguf", {}, {"blk.0.ffn_up.weight": tensor})
    return open_gguf(folder / f"{kind}.gguf")


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_on_its_own_grid_gives_the_codes_back(tmp_path: Path, kind: str) -> None:
    file = one_matrix(tmp_path, kind)
    raw = file.tensors["blk.0.ffn_up.weight"].raw()
    codes, params = unpack_format(raw, format_of(kind))
    ((w, moved),) = dithered_rows(file, "blk.0.ffn_up.weight", seed=0)
    live = np.broadcast_to(params.scale != 0, codes.shape)  # a step of 0 has one value, many codes
    assert (snap_format(moved, params)[live] == codes[live]).all()
    assert (moved[0] == w[0]).all() and (moved[1:] != w[1:]).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_noise_fills_the_cell_evenly(tmp_path: Path, kind: str) -> None:
    file = one_matrix(tmp_path, kind, rows=40)
    name = "blk.0.ffn_up.weight"
    cell = cells(file.tensors[name].raw(), kind.upper())[1:]
    ((w, moved),) = dithered_rows(file, name, seed=1)
    step = np.broadcast_to(cell, (*cell.shape[:2], 512 // cell.shape[1])).reshape(w[1:].shape)
    u = ((moved - w)[1:] / np.where(step, step, 1))[step > 0]
    assert np.abs(u).max() < 0.5
    assert abs(u.mean()) < 0.01 and abs(u.var() - 1 / 12) < 0.003
    assert np.histogram(u, 4, (-0.5, 0.5))[0].min() > 0.23 * u.size


def test_slices_do_not_change_the_noise_and_seeds_and_names_do(tmp_path: Path) -> None:
    file = one_matrix(tmp_path, "q4_0")
    name = "blk.0.ffn_up.weight"

    def values(seed: int, slice_weights: int = 1 << 20) -> np.ndarray:
        pieces = dithered_rows(file, name, seed, slice_weights=slice_weights)
        return np.concatenate([moved for _, moved in pieces])

    assert (values(0) == values(0, 5 * 512)).all()
    assert (values(0)[1:] != values(1)[1:]).mean() > 0.9


@pytest.fixture
def make_reference(tmp_path: Path) -> Callable[..., Done]:
    """Run the stage on a model file."""

    def run(model: Path, seed: int = 0) -> Done:
        inputs = {"model": file_input(model, "path:tiny.gguf")}
        return execute(STAGE, ReferenceConfig(seed=seed), inputs, store=tmp_path / "runs")

    return run


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q8_0"])
def test_the_stage_writes_a_marked_float_model_off_the_grid(
    tiny_model: Make, make_reference: Callable[..., Done], kind: str
) -> None:
    model = tiny_model(stored=kind)
    done = make_reference(model)
    old, new = open_gguf(model), open_gguf(done.path / "model.gguf")
    assert which(old).kind == "dequantised file" and which(old).on_grid == 1
    assert which(new).kind == "dithered" and which(new).on_grid == 0
    assert new.metadata[SEED_KEY] == 0 and "dithered" in new.metadata["general.name"]
    assert {tensor.type_name for tensor in new.tensors.values()} == {"F32"}
    for name, tensor in new.tensors.items():
        if len(tensor.shape) == 1:
            assert (new.dequantize(name) == old.dequantize(name)).all()
    facts = json.loads((done.path / "reference.json").read_text())
    assert facts["before"]["layouts"][kind] > 0.5 and facts["after"]["on_grid"] == 0
    change = {m.metric: m.value for m in done.manifest.measurements}["relative_change"]
    matrices = [n for n, t in old.tensors.items() if len(t.shape) == 2]
    w, moved = (np.concatenate([f.dequantize(n).ravel() for n in matrices]) for f in (old, new))
    assert change == pytest.approx(np.linalg.norm(moved - w) / np.linalg.norm(w), rel=1e-5)


def test_the_same_seed_gives_the_same_bytes(tiny_model: Make, tmp_path: Path) -> None:
    file = open_gguf(tiny_model(stored="Q5_0"))
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_dithered(file, tmp_path / f"{name}.gguf", seed)
    a, b, c = ((tmp_path / f"{name}.gguf").read_bytes() for name in "abc")
    assert a == b != c


def test_two_tensors_of_equal_values_get_different_noise(tmp_path: Path) -> None:
    file = one_matrix(tmp_path, "q4_0")
    tensor = file.tensors["blk.0.ffn_up.weight"]
    twins = {
        name: TensorData("Q4_0", tensor.shape, tensor.raw())
        for name in ("blk.0.ffn_up.weight", "blk.1.ffn_up.weight")
    }
    write_gguf(tmp_path / "twins.gguf", {}, twins)
    both = open_gguf(tmp_path / "twins.gguf")
    one, two = (next(dithered_rows(both, name, 0))[1] for name in twins)
    assert (one[1:] != two[1:]).mean() > 0.9


def test_floats_that_were_never_rounded_are_fp_and_need_no_dither(
    tiny_model: Make, make_reference: Callable[..., Done]
) -> None:
    model = tiny_model(stored="F32", embedding="F32")
    assert which(open_gguf(model)).kind == "fp"
    with pytest.raises(BadConfig, match="no step to dither by") as caught:
        make_reference(model)
    assert "use the model itself" in str(caught.value)


def test_floats_that_lie_on_a_grid_are_found_out(tiny_model: Make, tmp_path: Path) -> None:
    file = open_gguf(tiny_model(stored="Q5_0"))
    expanded = {
        name: TensorData("F32", tensor.shape, file.dequantize(name))
        for name, tensor in file.tensors.items()
    }
    write_gguf(tmp_path / "expanded.gguf", file.fields, expanded)
    facts = which(open_gguf(tmp_path / "expanded.gguf"))
    assert facts.kind == "dequantised file" and facts.layouts["Q5_0"] > 0.5
    with pytest.raises(BadConfig, match="no step to dither by") as caught:
        write_dithered(open_gguf(tmp_path / "expanded.gguf"), tmp_path / "x.gguf", 0)
    assert "expanded from one" in str(caught.value)


def test_half_a_grid_is_not_most_of_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((8, 64)).astype(np.float32)
    format = format_of("q4_0")
    params = fit_format(w, format)
    raw = pack_format(snap_format(w, params), params, format)
    tensors = {"a": TensorData("Q4_0", w.shape, raw), "b": TensorData("F32", w.shape, w)}
    write_gguf(tmp_path / "half.gguf", {}, tensors)
    facts = which(open_gguf(tmp_path / "half.gguf"))
    assert (facts.kind, facts.on_grid, facts.layouts) == ("fp", 0.5, {"Q4_0": 0.5})


def test_a_dithered_model_is_neither_dithered_again_nor_exported(
    tiny_model: Make, tmp_path: Path
) -> None:
    write_dithered(open_gguf(tiny_model(stored="Q4_0")), tmp_path / "d.gguf", 0)
    dithered = open_gguf(tmp_path / "d.gguf")
    with pytest.raises(BadConfig, match="dithered reference already"):
        write_dithered(dithered, tmp_path / "e.gguf", 1)
    with pytest.raises(BadConfig, match="not to be used"):
        refuse_dithered(dithered)
    with pytest.raises(BadConfig, match="not to be used"):
        write_compressed_tensors(tmp_path / "d.gguf", tmp_path / "hf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.gguf", "tiny.gguf"]


def test_a_type_without_a_known_step_is_refused_by_name(tmp_path: Path) -> None:
    raw = np.zeros((2, 18), np.uint8)
    tensors = {"blk.0.ffn_up.weight": TensorData("IQ4_NL", (2, 32), raw)}
    write_gguf(tmp_path / "iq.gguf", {}, tensors)
    with pytest.raises(BadFile, match="stored as IQ4_NL") as caught:
        write_dithered(open_gguf(tmp_path / "iq.gguf"), tmp_path / "x.gguf", 0)
    assert "blk.0.ffn_up.weight" in str(caught.value)
