"""The stage with calibration: the file holds what the methods chose, and a killed run goes on."""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seemant.compress.calibrate import state
from seemant.compress.calibrate.tokens import read_text
from seemant.compress.config import CompressConfig
from seemant.compress.kept import KeptRounding
from seemant.compress.plan import OUTER
from seemant.compress.run import STAGE
from seemant.compress.search.groups import groups_of
from seemant.compress.search_values import rounded_values
from seemant.compress.source import open_source
from seemant.compress.verify import VariantMismatch
from seemant.core.errors import BadConfig, BadFile, DiskFull, WorldError
from seemant.core.records import Paragraph
from seemant.core.stage import Done, execute, file_input
from seemant.formats.codes import load_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.tensor_format import fit_format, format_of, snap_format, value_format
from seemant.models.backends.tiny import write_tiny
from seemant.models.decoder.load import load_decoder

Run = Callable[..., Done]
TEXT = "the rain falls on the hill and the river runs to the sea. "
SETTINGS: dict[str, Any] = {"languages": ("en",), "calibration_tokens": 512, "sequence": 64}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A two-layer Llama in floats."""
    write_tiny(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Forty English paragraphs."""
    records = [
        Paragraph(id=f"en-{n}", lang="en", text=TEXT[n % 7 :] * 2 + str(n)) for n in range(40)
    ]
    path = tmp_path / "text.jsonl"
    path.write_text("".join(each.model_dump_json() + "\n" for each in records))
    return path


@pytest.fixture
def run(tmp_path: Path, model: Path, text: Path) -> Run:
    """Run the stage on the tiny model with English text."""

    def go(*, calibrated: bool = True, store: str = "runs", **settings: Any) -> Done:
        inputs = {"model": file_input(model)}
        if calibrated:
            inputs["calibration"] = file_input(text)
        config = CompressConfig(**(SETTINGS | settings))
        return execute(STAGE, config, inputs, store=tmp_path / store)

    return go


@pytest.mark.parametrize(
    ("settings", "container"),
    [
        ({"method": "gptq"}, "Q4_0"),
        ({"method": "gptq", "bits": 4, "symmetric": False, "fit": "mse"}, "Q4_1"),
        ({"method": "gptq", "bits": 3, "order": "groups"}, "Q4_0"),
        ({"method": "imatrix", "bits": 5}, "Q5_0"),
        ({"method": "sparsegpt", "sparsity": "2:4", "bits": 8}, "Q8_0"),
        ({"method": "wanda", "format": "f16"}, "F16"),
        ({"prepare": "awq", "bits": 4}, "Q4_0"),
        ({"prepare": "awq", "method": "gptq", "bits": 4}, "Q4_0"),
        ({"prepare": "awq", "method": "imatrix"}, "Q4_0"),
    ],
)
def test_the_file_holds_the_integers_that_were_chosen_and_the_loss_is_small(
    run: Run, model: Path, settings: dict[str, Any], container: str
) -> None:
    done = run(**settings)  # the stage opens the file again and compares, or fails
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["calibration"]["tokens"] == {"en": 512}
    assert variant["container"] == container
    file = open_gguf(done.path / "model.gguf")
    assert file.tensors["blk.1.ffn_down.weight"].type_name == container
    assert 0 < variant["relative_error"]["blocks"] < 0.8
    assert not list(done.path.glob(".rounded"))
    assert np.isfinite(file.dequantize("blk.0.attn_q.weight")).all()


def test_two_of_four_are_zero_in_the_written_file(run: Run) -> None:
    done = run(method="sparsegpt", sparsity="2:4", bits=8)
    w = open_gguf(done.path / "model.gguf").dequantize("blk.0.ffn_up.weight")
    assert ((w.reshape(len(w), -1, 4) != 0).sum(-1) <= 2).all()
    assert (w != 0).mean() > 0.4


def test_error_feedback_lowers_what_the_layer_loses(run: Run) -> None:
    variant = json.loads((run(method="gptq", bits=3).path / "variant.json").read_text())
    for name in ("blk.0.attn_q.weight", "blk.1.ffn_down.weight"):
        notes = variant["tensors"][name]["notes"]
        assert notes["layer_error"] < notes["rtn_error"]


def test_awq_s_folds_change_nothing_but_the_rounding(run: Run, model: Path, tmp_path: Path) -> None:
    import torch

    done = run(prepare="awq", bits=8, embedding_format="f16")
    ids = torch.arange(40) + 60
    with torch.inference_mode():
        first, second = (
            load_decoder(path).decoder(ids, [40]) for path in (model, done.path / "model.gguf")
        )
    assert (first - second).norm() < 0.03 * first.norm()
    before, after = open_gguf(model), open_gguf(done.path / "model.gguf")
    norms = [name for name in before.tensors if name.endswith("norm.weight")]
    changed = [
        name
        for name in norms
        if not np.array_equal(before.dequantize(name), after.dequantize(name))
    ]
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["method"] == "awq+rtn"
    assert set(changed) <= {n for n in norms if n.startswith("blk.")}


def test_a_norm_that_awq_changed_must_be_the_changed_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    norm, real = "blk.1.ffn_norm.weight", KeptRounding.rows

    def forgetful(self: KeptRounding, name: str) -> Iterator[np.ndarray]:
        yield from self.rest.rows(name) if name == norm else real(self, name)

    settings = {"prepare": "awq", "bits": 3, "fit": "mse"}
    done = run(**settings, store="whole")
    changed = open_gguf(done.path / "model.gguf").dequantize(norm)
    with monkeypatch.context() as patch:
        patch.setattr(KeptRounding, "rows", forgetful)
        with pytest.raises(VariantMismatch, match=f"{norm} was kept with other values"):
            run(**settings)
    again = run(**settings)
    np.testing.assert_array_equal(open_gguf(again.path / "model.gguf").dequantize(norm), changed)


def test_formats_of_single_tensors_go_before_those_of_kinds(run: Run) -> None:
    formats = ("ffn_down=q5_0", "blk.0.ffn_down.weight=q8_0", "token_embd=f16")
    done = run(method="gptq", formats=formats)
    tensors = open_gguf(done.path / "model.gguf").tensors
    assert tensors["blk.0.ffn_down.weight"].type_name == "Q8_0"
    assert tensors["blk.1.ffn_down.weight"].type_name == "Q5_0"
    assert tensors["token_embd.weight"].type_name == "F16"
    assert tensors["blk.1.ffn_up.weight"].type_name == "Q4_0"
    assert json.loads((done.path / "variant.json").read_text())["name"] == "gptq-q4_0-g32-mixed"


def test_codes_that_no_file_holds_are_calibrated_too(run: Run) -> None:
    done = run(method="gptq", bits=8, symmetric=False)
    assert not (done.path / "model.gguf").exists()
    assert "blk.0.attn_q.weight" in load_codes(done.path / "codes.safetensors")


def test_gptq_chooses_the_heads_integers_too_unless_told_otherwise(run: Run) -> None:
    told = json.loads((run(method="gptq").path / "variant.json").read_text())
    assert told["embedding_method"] == "gptq"
    assert "layer_error" in told["tensors"]["output.weight"]["notes"]
    plain = run(method="gptq", embedding_method="rtn")
    told = json.loads((plain.path / "variant.json").read_text())
    assert told["embedding_method"] == "rtn"
    assert "layer_error" not in told["tensors"]["output.weight"].get("notes", {})
    half = run(method="gptq", embedding_format="f16")
    assert json.loads((half.path / "variant.json").read_text())["embedding_method"] == "rtn"


def test_an_embedding_rounded_to_nearest_keeps_its_largest_weights_whatever_the_fit(
    run: Run,
) -> None:
    files = [open_gguf(run(fit=fit).path / "model.gguf") for fit in ("minmax", "mse")]
    outer = [[f.tensors[n].raw().tobytes() for n in OUTER if n in f.tensors] for f in files]
    inner = [f.tensors["blk.0.attn_q.weight"].raw().tobytes() for f in files]
    assert outer[0] == outer[1]
    assert inner[0] != inner[1]


def test_the_head_can_be_calibrated(run: Run) -> None:
    done = run(method="gptq", embedding_method="gptq", embedding_bits=4)
    entry = json.loads((done.path / "variant.json").read_text())["tensors"]["output.weight"]
    assert entry["notes"]["layer_error"] < entry["notes"]["rtn_error"]


def test_a_killed_run_goes_on_at_the_next_layer_and_writes_the_same_bytes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(method="gptq", store="whole")
    real, seen = state.save_state, []

    def dying(folder: Path, key: str, layer: int, hidden: Any) -> None:
        real(folder, key, layer, hidden)
        seen.append(layer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("seemant.compress.calibrate.stream.save_state", dying)
        with pytest.raises(KeyboardInterrupt):
            run(method="gptq", store="killed")
    assert seen == [1]
    again = run(method="gptq", store="killed")
    assert sha256(again.path / "model.gguf") == sha256(whole.path / "model.gguf")


def test_a_run_killed_while_it_writes_calibrates_nothing_twice(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"method": "gptq", "embedding_method": "gptq", "prepare": "awq"}
    whole = run(**settings, store="whole")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("seemant.compress.variant.write_gguf", full)
        with pytest.raises(WorldError, match="no space"):
            run(**settings, store="killed")
    with monkeypatch.context() as patch:
        patch.setattr("seemant.compress.calibrated._round_layer", None)
        patch.setattr("seemant.compress.calibrated.gathered", None)
        again = run(**settings, store="killed")
    assert sha256(again.path / "model.gguf") == sha256(whole.path / "model.gguf")


def test_what_a_run_left_that_cannot_go_on_is_not_taken_for_this_one_s(run: Run) -> None:
    whole = run(method="gptq", store="whole")
    folder = whole.path.parents[1].with_name("left") / "compress" / whole.path.name / ".rounded"
    folder.mkdir(parents=True)
    (folder / "token_embd.weight.json").write_text("{}")
    again = run(method="gptq", store="left")
    assert sha256(again.path / "model.gguf") == sha256(whole.path / "model.gguf")


def test_calibrated_rows_lie_beside_codes_that_no_file_holds(run: Run) -> None:
    done = run(method="gptq", bits=6, symmetric=False, formats=("ffn_down=q8_0",))
    assert load_codes(done.path / "codes.safetensors")["blk.0.ffn_down.weight"].ndim == 2


def test_folds_are_refused_where_norms_come_from_the_base(run: Run) -> None:
    with pytest.raises(BadConfig, match="takes its norms from the base"):
        run(prepare="awq", bits=6, symmetric=False)


def test_a_search_keeps_its_budget_and_says_what_it_measured(run: Run) -> None:
    done = run(
        search=True,
        budget="1MB",
        method="gptq",
        menu=("q4_0", "q8_0"),
        bands=1,
        mixes=0,
        search_chunks=1,
        search_length=32,
    )
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["file_bytes"] <= 1_000_000
    assert (
        variant["search"]["measured_rounding"]
        == "gptq, minmax, float inputs; embedding gptq, minmax"
    )
    assert not list(done.path.glob(".search*"))
    file = open_gguf(done.path / "model.gguf")
    kinds = [t.type_name for n, t in file.tensors.items() if n.endswith("_down.weight")]
    types = {"Q4_0": 2, "Q8_0": 7}
    assert file.metadata["general.file_type"] in {types[kind] for kind in kinds}


def test_a_search_measures_what_the_file_s_methods_make_and_rounds_it_once(
    model: Path, text: Path, tmp_path: Path
) -> None:
    config = CompressConfig(
        method="gptq",
        embedding_method="imatrix",
        fit="mse",
        search=True,
        budget="1MB",
        menu=("q4_0", "q8_0"),
        **SETTINGS,
    )
    source, folder = open_source(open_gguf(model), None), tmp_path / "values"
    asked = config, read_text(text), source, groups_of(source.file), folder
    values, format = rounded_values(*asked), format_of("q4_0")
    outer = OUTER["output.weight" in source.file.tensors]
    for name in (outer, "blk.1.ffn_down.weight"):
        file = source.file.dequantize(name)
        for search in ("minmax", "mse"):
            params = fit_format(file, format, search=search)
            nearest = value_format(snap_format(file, params), params)
            assert not np.array_equal(values(name, format), nearest), "inputs play no part"
    made = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(made) == 2 * sum(len(group.tensors) for group in asked[3])
    lost = folder / f"{outer}.q8_0"
    lost.unlink()  # as if killed before it
    rounded_values(*asked)
    assert lost.is_file()
    assert all(path.stat().st_mtime_ns == at for path, at in made.items() if path != lost)


def test_a_search_is_refused_where_the_disk_cannot_hold_its_formats(
    model: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CompressConfig(search=True, budget="1MB", **SETTINGS)
    source = open_source(open_gguf(model), None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DiskFull, match=r"0\.0 GB are free"):
        rounded_values(config, read_text(text), source, groups_of(source.file), tmp_path)


def test_text_is_asked_for_and_a_language_that_it_lacks_is_refused(run: Run) -> None:
    with pytest.raises(BadConfig, match="gptq needs calibration text"):
        run(method="gptq", calibrated=False)
    with pytest.raises(BadFile, match="has no kn"):
        run(method="gptq", languages=("en", "kn"))
    done = run(method="gptq", languages=("en", "kn"), allow_language_gap=True)
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["calibration"]["tokens"] == {"en": 512}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "gptk"}, "no method 'gptk'"),
        ({"format": "q4_9"}, "no format 'q4_9'"),
        ({"formats": ("ffn_down:q4_0",)}, "is not TENSOR=FORMAT"),
        ({"sparsity": "half", "method": "wanda"}, "half"),
        ({"search": True, "formats": ("ffn_down=q4_0",)}, "not both"),
        ({"budget": "1MB"}, "add `search`"),
        ({"search": True, "menu": ("q4_9",)}, "no format 'q4_9'"),
        ({"formats": ("attn_norm=q8_0",)}, "no tensor 'attn_norm' to round"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    run: Run, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception, match=said):
        run(**settings)


def test_a_tensor_that_is_not_there_is_named(run: Run) -> None:
    with pytest.raises(BadConfig, match="no tensor 'ffn_dawn'"):
        run(formats=("ffn_dawn=q8_0",))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_search_keeps_the_budget_and_says_what_it_found(run: Run) -> None:
    settings: dict[str, Any] = {
        "search": True,
        "menu": ("q8_0", "q4_0"),
        "bands": 1,
        "search_chunks": 1,
        "search_length": 32,
        "mixes": 0,
    }
    free = run(method="gptq", bits=8).path / "model.gguf"
    small = run(method="gptq", bits=4, embedding_bits=4).path / "model.gguf"
    budget = (free.stat().st_size + small.stat().st_size) // 2 + 8192
    done = run(method="gptq", budget=str(budget), **settings)
    variant = json.loads((done.path / "variant.json").read_text())
    assert variant["file_bytes"] <= budget
    assert variant["search"]["asked"]["budget"] == str(budget)
    assert set(variant["search"]["groups"].values()) == {"q8_0", "q4_0"}
    kinds = {t["format"] for n, t in variant["tensors"].items() if n.startswith("blk.")}
    assert variant["format"] == ("mixed" if len(kinds) > 1 else kinds.pop())
    outer = [variant["tensors"][f"{n}.weight"]["format"] for n in ("token_embd", "output")]
    assert variant["embedding"] == ", head ".join(dict.fromkeys(outer))
    assert variant["name"] == f"gptq-mixed-{budget}"
    assert not list(done.path.glob(".search.jsonl"))
    with pytest.raises(BadConfig, match="no file of this model is as small as"):
        run(budget="20KB", **settings)
    with pytest.raises(BadConfig, match="budget of bytes or a limit of divergence"):
        run(**settings)
    with pytest.raises(BadFile, match="has no kn"):
        run(budget=str(budget), languages=("en", "kn"), **settings)
