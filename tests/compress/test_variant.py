"""The stage on tiny models: files that hold exactly what was chosen, and every refusal."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from seemant.compress.materialise import variant_weights
from seemant.compress.run import STAGE
from seemant.compress.verify import VariantMismatch
from seemant.core.atomic import atomic_path
from seemant.core.errors import BadConfig, BadFile, DiskFull
from seemant.core.stage import Done
from seemant.formats.codes import load_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.grids import Codes, Grid, Params, fit, grouped, snap, value

Make = Callable[..., Path]
Run = Callable[..., Done]
BLOCK = "blk.0.ffn_down.weight"


def rtn(w: np.ndarray, grid: Grid) -> tuple[Codes, Params]:
    """Return the nearest codes on the min-max grid."""
    groups = grouped(w, grid.group)
    params = fit(groups, grid)
    return snap(groups, params), params


ROWS = [  # settings, container, simulated
    ({"bits": 8}, "Q8_0", False),
    ({"bits": 8, "group": None}, "Q8_0", False),
    ({"bits": 5}, "Q5_0", False),
    ({"bits": 4}, "Q4_0", False),
    ({"bits": 4, "group": None}, "Q4_0", False),
    ({"bits": 4, "symmetric": False}, "Q4_1", False),
    ({"bits": 3}, "Q4_0", True),
    ({"bits": 3, "group": None, "symmetric": False}, "Q4_1", True),
    ({"bits": 2}, "Q4_0", True),
]


@pytest.mark.parametrize(("settings", "container", "simulated"), ROWS)
def test_the_file_holds_the_nearest_values_and_nothing_else(
    tiny_model: Callable[..., Path],
    compress: Run,
    settings: dict[str, Any],
    container: str,
    simulated: bool,
) -> None:
    base = open_gguf(tiny_model())
    done = compress(base.path, **settings)
    file = open_gguf(done.path / "model.gguf")
    variant = json.loads((done.path / "variant.json").read_text())
    assert (variant["container"], variant["simulated"]) == (container, simulated)
    grid = Grid(settings["bits"], settings.get("group", 32), settings.get("symmetric", True))
    for name, tensor in base.tensors.items():
        w = base.dequantize(name)
        if len(tensor.shape) == 1:
            assert file.tensors[name].type_name == "F32"
            np.testing.assert_array_equal(file.dequantize(name), w)
            continue
        outer = name == "token_embd.weight"
        chosen = rtn(w, Grid(8, 32, True) if outer else grid)
        assert file.tensors[name].type_name == ("Q8_0" if outer else container)
        expected = value(*chosen).reshape(w.shape)
        np.testing.assert_array_equal(file.dequantize(name), expected)


def test_eight_bits_asymmetric_is_for_torch_only(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    base = open_gguf(tiny_model())
    done = compress(base.path, bits=8, group=None, symmetric=False)
    assert not (done.path / "model.gguf").exists()
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["torch_only"] and variant["simulated"] and variant["container"] is None
    w = base.dequantize(BLOCK)
    expected = value(*rtn(w, Grid(8, None, False))).reshape(w.shape)
    np.testing.assert_array_equal(load_codes(done.path / "codes.safetensors")[BLOCK], expected)
    weights = variant_weights(done.path, base.path)
    np.testing.assert_array_equal(weights[BLOCK], expected)
    norm = "output_norm.weight"
    np.testing.assert_array_equal(weights[norm], base.dequantize(norm))
    assert set(weights) == set(base.tensors)


def test_the_adapter_is_merged_before_rounding(
    tiny_model: Callable[..., Path], tiny_adapter: tuple[Path, np.ndarray], compress: Run
) -> None:
    folder, delta = tiny_adapter
    base = open_gguf(tiny_model(stored="Q8_0"))  # of nested grids: test_adapter_gain.py
    done = compress(base.path, adapter=folder, bits=4)
    merged = base.dequantize(BLOCK) + delta
    expected = value(*rtn(merged, Grid(4, 32, True))).reshape(merged.shape)
    got = variant_weights(done.path, base.path)[BLOCK]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["subject"] == "tiny+lora/q4_0-g32"
    assert variant["tensors"][BLOCK]["adapted"] is True
    assert variant["tensors"]["blk.1.ffn_down.weight"]["adapted"] is False
    assert variant["adapter"]["label"] == "train:0123"


def test_the_tokenizer_and_template_travel_and_the_change_is_said(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    base = open_gguf(tiny_model())
    file = open_gguf(compress(base.path).path / "model.gguf")
    for key, meta in base.fields.items():
        if key not in ("general.name", "general.file_type"):
            assert file.fields[key] == meta
    assert file.metadata["general.file_type"] == 2
    assert file.metadata["general.name"] == "tiny/q4_0-g32"
    assert "Modified from tiny" in file.metadata["general.description"]
    assert file.metadata["general.license.name"] == "Apache License 2.0"
    assert "rtn, 4 bits, group 32" in file.metadata["seemant.quantisation"]


def test_gguf_py_reads_the_file(tiny_model: Callable[..., Path], compress: Run) -> None:
    done = compress(tiny_model(), bits=4)
    reader = GGUFReader(done.path / "model.gguf")
    assert {t.name for t in reader.tensors} == set(open_gguf(done.path / "model.gguf").tensors)


def test_bits_a_weight_count_the_whole_file_and_every_weight_once(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    base = open_gguf(tiny_model())
    done = compress(base.path, bits=4)
    n_weights = sum(t.n_weights for t in base.tensors.values())
    n_bytes = (done.path / "model.gguf").stat().st_size
    measured = {m.metric: m for m in done.manifest.measurements}
    assert measured["file_bytes"].value == n_bytes
    assert measured["bits_per_weight"].value == 8 * n_bytes / n_weights
    assert measured["bits_per_weight"].conditions["simulated"] is False
    kept = sum(t.n_weights for t in base.tensors.values() if len(t.shape) == 1)
    outer = base.tensors["token_embd.weight"].n_weights
    ideal = (32 * kept + 8.5 * outer + 4.5 * (n_weights - kept - outer)) / n_weights
    assert measured["bits_per_weight_ideal"].value == pytest.approx(ideal, abs=1e-12)


def test_relative_errors_are_those_of_the_values(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    base = open_gguf(tiny_model())
    done = compress(base.path, bits=3)
    weights = variant_weights(done.path, base.path)
    squared = norm = 0.0
    for layer in range(2):
        w = base.dequantize(f"blk.{layer}.attn_q.weight").astype(np.float64)
        squared += ((w - weights[f"blk.{layer}.attn_q.weight"]) ** 2).sum()
        norm += (w**2).sum()
    found = {
        m.conditions["tensors"]: m.value
        for m in done.manifest.measurements
        if m.metric == "relative_weight_error"
    }
    assert found["attn_q"] == pytest.approx((squared / norm) ** 0.5, rel=1e-6)
    assert found["token_embd"] == 0.0  # Q8_0 again: the artefact that the next test names
    assert 0.1 < found["blocks"] < 0.5


@pytest.mark.parametrize(
    ("stored", "settings", "blocks", "embedding"),
    [
        ("F32", {"bits": 4}, False, True),
        ("Q4_0", {"bits": 4}, True, True),
        ("Q4_0", {"bits": 3}, False, True),
        ("Q4_0", {"bits": 4, "group": None}, False, True),
        ("Q4_1", {"bits": 4, "symmetric": False}, True, True),
        ("Q5_0", {"bits": 4, "embedding_bits": 4}, False, False),
    ],
)
def test_a_row_on_the_files_own_grid_is_marked(
    tiny_model: Callable[..., Path],
    compress: Run,
    stored: str,
    settings: dict[str, Any],
    blocks: bool,
    embedding: bool,
) -> None:
    done = compress(tiny_model(stored=stored), **settings)
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["on_reference_grid"] is blocks
    assert variant["embedding_on_reference_grid"] is embedding
    assert (variant["relative_error"]["blocks"] < 1e-6) is blocks


def test_a_rounded_model_stored_as_floats_is_found_out(
    tiny_model: Callable[..., Path], compress: Run, tmp_path: Path
) -> None:
    from seemant.formats.gguf_write import TensorData, write_gguf

    rounded = open_gguf(tiny_model(stored="Q4_0"))
    floats = {
        name: TensorData("F32", t.shape, rounded.dequantize(name))
        for name, t in rounded.tensors.items()
    }
    write_gguf(tmp_path / "floats.gguf", rounded.fields, floats)
    done = compress(tmp_path / "floats.gguf", bits=4)
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["on_reference_grid"] and variant["embedding_on_reference_grid"]


def test_the_same_question_gives_the_same_bytes(
    tiny_model: Callable[..., Path], compress: Run, tmp_path: Path
) -> None:
    model = tiny_model()
    first = {p.name: sha256(p) for p in compress(model).path.iterdir() if p.suffix != ".jsonl"}
    (tmp_path / "runs").rename(tmp_path / "runs-before")
    again = {p.name: sha256(p) for p in compress(model).path.iterdir() if p.suffix != ".jsonl"}
    first.pop("manifest.json"), again.pop("manifest.json")
    first.pop(".lock", None), again.pop(".lock", None)
    assert first == again


def test_an_untied_head_gets_the_embeddings_grid(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    head = np.random.default_rng(3).standard_normal((40, 64)).astype(np.float32)
    done = compress(tiny_model(extra={"output.weight": head}), bits=4, embedding_bits=8)
    file = open_gguf(done.path / "model.gguf")
    assert file.tensors["output.weight"].type_name == "Q8_0"


def test_a_group_that_does_not_divide_some_row_is_refused(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    with pytest.raises(BadConfig, match="group 64 does not divide a row of 96") as caught:
        compress(tiny_model(), group=64)
    assert "blk.0.ffn_down.weight" in str(caught.value)
    assert "groups that divide it: 32" in str(caught.value)


def test_an_unknown_architecture_names_its_tensors(
    tiny_model: Callable[..., Path], compress: Run
) -> None:
    with pytest.raises(BadFile, match="'mamba' cannot be placed") as caught:
        compress(tiny_model(architecture="mamba"))
    assert "token_embd.weight" in str(caught.value)


def test_a_tensor_without_a_place_is_named(tiny_model: Callable[..., Path], compress: Run) -> None:
    extra = {"blk.0.ssm_conv1d.weight": np.zeros((4, 64), np.float32)}
    with pytest.raises(BadFile, match=r"blk\.0\.ssm_conv1d\.weight"):
        compress(tiny_model(extra=extra))


def test_weights_that_are_no_numbers_leave_no_file(
    tiny_model: Callable[..., Path], compress: Run, tmp_path: Path
) -> None:
    bad = np.ones((64, 64), np.float32)
    bad[3, 3] = np.inf
    model = tiny_model(extra={"blk.1.attn_q.weight": bad})
    with pytest.raises(BadFile, match="inf among the weights") as caught:
        compress(model)
    assert "blk.1.attn_q.weight" in str(caught.value)
    assert not list((tmp_path / "runs").rglob("*model.gguf*"))


def test_a_truncated_model_is_refused(tiny_model: Callable[..., Path], compress: Run) -> None:
    model = tiny_model()
    model.write_bytes(model.read_bytes()[:-500])
    with pytest.raises(BadFile, match="truncated or damaged GGUF"):
        compress(model)


def test_a_folder_is_refused_with_what_to_do(compress: Run, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    with pytest.raises(BadFile, match="reads GGUF files"):
        compress(tmp_path / "hf")


@pytest.mark.parametrize("settings", [{"bits": 4}, {"bits": 8, "symmetric": False}])
def test_a_full_disk_leaves_nothing_half_written_and_the_same_call_goes_on(
    tiny_model: Callable[..., Path],
    compress: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
) -> None:
    model = tiny_model()

    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        with atomic_path(path) as temporary:
            yield temporary
            assert temporary.stat().st_size > 10_000
            raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("seemant.formats.gguf_write.atomic_path", full)
        patch.setattr("seemant.formats.codes.atomic_path", full)
        with pytest.raises(DiskFull, match="no space left"):
            compress(model, **settings)
    left = {p.name for p in (tmp_path / "runs").rglob("*") if p.is_file()}
    assert left <= {"config.json", "events.jsonl", ".lock"}
    assert not compress(model, **settings).reused


def test_a_file_with_other_integers_is_an_error_of_ours(
    tiny_model: Callable[..., Path], compress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.formats import tensor_format

    def wrong(*args: Any) -> np.ndarray:
        raw = tensor_format.pack_format(*args)
        raw[0, -1] ^= 1
        return raw

    monkeypatch.setattr("seemant.compress.rounding.pack_format", wrong)
    with pytest.raises(VariantMismatch, match="other integers than were chosen"):
        compress(tiny_model())


def test_the_stage_declares_its_roles() -> None:
    assert STAGE.roles == {
        "model": "model",
        "adapter": "adapter?",
        "calibration": "paragraphs?",
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.real
def test_gemma_in_four_bits_loads_in_llama_cpp_and_goes_on_writing(
    gemma_gguf: Path, compress: Run
) -> None:
    from seemant.models.backends.open import open_backend
    from seemant.models.backends.protocol import Sampling

    done = compress(gemma_gguf, bits=4, embedding_bits=8)
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["embedding_on_reference_grid"] and not variant["on_reference_grid"]
    assert variant["licence"] == "gemma"
    with open_backend(done.path / "model.gguf", threads=1, context=128) as backend:
        text = backend.generate("The capital of France is", Sampling(max_new_tokens=6)).text
    assert any(letter.isalpha() for letter in text)


def test_an_adapter_of_another_base_is_refused(
    tiny_model: Callable[..., Path],
    tiny_adapter: tuple[Path, np.ndarray],
    compress: Callable[..., Done],
) -> None:
    adapter, _ = tiny_adapter
    facts = {"base": "embedded:other", "base_sha256": "0" * 64}
    (adapter / "student.json").write_text(json.dumps(facts))
    with pytest.raises(BadFile, match="trained on embedded:other"):
        compress(tiny_model(), adapter=adapter)


def test_an_artefact_s_model_can_be_compressed_again(
    tiny_model: Callable[..., Path], compress: Callable[..., Done]
) -> None:
    first = compress(tiny_model(), bits=8)
    again = compress(first.path, bits=8)
    assert (again.path / "model.gguf").is_file()
