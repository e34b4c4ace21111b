"""The stage as a user runs it: from files to an artefact, killed and resumed, and refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seemant.core.capability import capability
from seemant.core.errors import BadRecord, InputError
from seemant.core.jsonl import write_records
from seemant.core.stage import Done, Input, execute, file_input
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE
from tests.train.tiny import pair, some_pairs, tiny_llama

CONFIG = TrainConfig(
    rank=2, steps=6, batch=2, accumulation=2, save_every=1, eval_every=3, heldout_share=0.3,
    threads=1,
)  # fmt: skip

LONGER = CONFIG.model_copy(update={"steps": 60})  # long enough for a kill to land inside


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    write_records(path, some_pairs(60))
    return path


def inputs_of(base: Path, pairs: Path) -> dict[str, Input]:
    return {"model": file_input(base, f"path:{base.name}"), "pairs": file_input(pairs)}


def train(base: Path, pairs: Path, out: Path, config: TrainConfig = CONFIG) -> Done:
    return execute(STAGE, config, inputs_of(base, pairs), store=out, out=out)


def test_it_leaves_the_promised_files_and_measurements(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    done = train(base, pairs, tmp_path / "run")
    names = {entry.path for entry in done.manifest.files}
    assert names >= {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "student.json",
        "losses.jsonl",
        "set_aside.jsonl",
    }
    assert not any("checkpoints" in name for name in names)
    found = {(m.metric, m.lang): m for m in done.manifest.measurements}
    assert {m.subject for m in found.values()} == {"tiny+lora"}
    for when in ("before", "after", "change"):
        measured = found[f"heldout_loss_{when}", None]
        assert measured.unit == "nats/token" and measured.n == 18
        assert measured.n_clusters == 9 and measured.ci_low is not None
    change = found["heldout_loss_after", None].value - found["heldout_loss_before", None].value
    assert found["heldout_loss_change", None].value == pytest.approx(change)
    assert found["train_loss_last", None].value < found["train_loss_first", None].value
    assert found["pairs_trained", "en"].value == 42
    a_layer = 2 * ((32 + 32) + 2 * (32 + 16) + (32 + 32) + 3 * (32 + 48))
    assert found["trainable_parameters", None].value == 2 * a_layer
    assert {m.conditions.get("bit_exact") for m in found.values()} == {None}
    assert {m.metric for m in found.values() if m.timed} == {"step_time", "train_speed", "peak_rss"}


def found_in(done: Done) -> dict[tuple[str, str | None, object], float]:
    return {
        (m.metric, m.lang, m.conditions.get("bucket")): m.value for m in done.manifest.measurements
    }


def student_of(done: Done) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((done.path / "student.json").read_text())
    return said


@pytest.mark.parametrize(
    "more",
    [
        {"method": "rslora"},
        {"method": "dora"},
        {"base": "int8", "embedding": "int8"},
        {"base": "int4", "embedding": "int4", "compute": "bfloat16"},
        {"pack": 200, "checkpointing": True, "dropout": 0.1},
    ],
    ids=lambda more: "-".join(map(str, more.values())),
)
def test_every_way_of_training_learns_and_says_how_it_was_made(
    base: Path, pairs: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    config = CONFIG.model_copy(update={"lr": 0.01, "steps": 12, **more})
    done = train(base, pairs, tmp_path / "run", config)
    assert found_in(done)["heldout_loss_change", None, None] < 0
    assert found_in(done)["kl_to_base", None, None] > 0
    student = student_of(done)
    assert student["method"] == config.method and student["base_kind"] == config.base
    given = next(m.conditions for m in done.manifest.measurements if m.metric == "kl_to_base")
    # Where bfloat16 is no gain the run is float32's, and says so.
    compute = config.compute if capability().gains_by(config.compute) else "float32"
    assert given == {"compute": compute} | {
        name: value for name, value in more.items() if name in ("method", "base", "embedding")
    }


def test_all_of_a_model_can_be_trained_and_is_a_model_again(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    from seemant.models.load import load_torch

    config = CONFIG.model_copy(update={"method": "full", "lr": 0.003})
    done = train(base, pairs, tmp_path / "run", config)
    assert found_in(done)["heldout_loss_change", None, None] < 0
    names = {entry.path for entry in done.manifest.files}
    assert "model/model.safetensors" in names and "trained.json" in names
    assert "student.json" not in names and not any("adapter" in name for name in names)
    loaded = load_torch(done.path / "model")
    n = found_in(done)["trainable_parameters", None, None]
    assert loaded.facts.n_parameters == n
    assert json.loads((done.path / "trained.json").read_text())["subject"] == "tiny+full"


def test_replayed_pairs_are_a_bucket_with_a_loss_of_its_own(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.jsonl"
    write_records(
        old, [pair(f"पुराना {i}?", "हाँ", lang="hi", paragraph_id=f"o{i}") for i in range(20)]
    )
    inputs = {
        "model": file_input(base, "path:tiny"),
        "pairs": file_input(pairs),
        "replay": file_input(old),
    }
    config = CONFIG.model_copy(update={"replay": 0.25, "languages": ("en",)})
    done = execute(STAGE, config, inputs, store=tmp_path, out=tmp_path / "run")
    found = found_in(done)
    assert found["heldout_loss_after", None, "replay"] > 0
    assert found["heldout_loss_after", "hi", "replay"] > 0
    assert ("heldout_loss_after", "hi", None) not in found
    assert found["pairs_trained", "hi", "replay"] == 14
    lines = [json.loads(x) for x in (done.path / "losses.jsonl").read_text().splitlines()]
    assert {name for line in lines for name in line["loss_by_bucket"]} == {"pairs", "replay"}
    assert student_of(done)["languages"] == ["en"]  # what is only replayed is not its language


def test_replay_without_its_pairs_is_an_input_error(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no pairs to replay are given"):
        train(base, pairs, tmp_path / "r", CONFIG.model_copy(update={"replay": 0.1}))
    with pytest.raises(InputError, match="targets are asked for"):
        train(base, pairs, tmp_path / "k", CONFIG.model_copy(update={"kd_weight": 0.5}))


def test_a_teachers_stored_word_can_be_learned_from(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    from seemant.train.teacher.run import STAGE as TARGETS

    given = {"model": file_input(base, "path:tiny"), "pairs": file_input(pairs)}
    said = execute(
        TARGETS, TARGETS.config(k=8, threads=1), given, store=tmp_path, out=tmp_path / "said"
    )
    # The base as its own teacher: it is held where it was.
    given["targets"] = said.as_input("targets:x")
    runs = {
        weight: execute(
            STAGE,
            CONFIG.model_copy(update={"kd_weight": weight, "lr": 0.01}),
            {k: v for k, v in given.items() if weight or k != "targets"},
            store=tmp_path,
            out=tmp_path / f"kd{weight}",
        )
        for weight in (0.0, 0.9)
    }
    kl = {weight: found_in(done)["kl_to_base", None, None] for weight, done in runs.items()}
    assert kl[0.9] < 0.5 * kl[0.0]
    assert found_in(runs[0.9])["kd_covered", None, None] == 1
    assert not any("stored targets" in note for note in student_of(runs[0.9])["notes"])
    some = tmp_path / "some.jsonl"
    write_records(some, [*some_pairs(30), pair("new?", "yes", paragraph_id="new")])
    others = tmp_path / "others.jsonl"
    write_records(others, [pair(f"{i}!", "no", paragraph_id=f"n{i}") for i in range(9)])
    config = CONFIG.model_copy(
        update={"kd_weight": 0.9, "heldout_share": 0.0, "study_prompt": True, "max_length": 400}
    )
    more = execute(
        STAGE, config, given | {"pairs": file_input(some)}, store=tmp_path, out=tmp_path / "some"
    )
    assert found_in(more)["kd_covered", None, None] == pytest.approx(30 / 31)
    notes = student_of(more)["notes"]
    assert any("96.8% of the training rows" in note for note in notes)
    assert any("without the study's prompt" in note for note in notes)
    with pytest.raises(InputError, match="none of the 9 training rows"):
        execute(
            STAGE, config, given | {"pairs": file_input(others)}, store=tmp_path, out=tmp_path / "o"
        )


def test_noise_is_left_out_and_counted(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    bad = pair("bad?", "no", checks={"about": False}, id="bad")
    write_records(path, [*some_pairs(20), bad])
    config = CONFIG.model_copy(update={"checked_only": True})
    done = train(base, path, tmp_path / "run", config)
    assert found_in(done)["set_aside_failed_check", None, None] == 1
    (aside,) = map(json.loads, (done.path / "set_aside.jsonl").read_text().splitlines())
    assert aside["key"] == "bad" and aside["detail"] == "about"


def test_the_studys_prompt_stands_in_the_rows_and_in_the_students_facts(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"study_prompt": True, "max_length": 400})
    with_it = train(base, pairs, tmp_path / "a", config)
    assert student_of(with_it)["system_prompt"] == "study"
    assert student_of(with_it)["system_folded"] is False
    without = train(base, pairs, tmp_path / "b")
    assert student_of(without)["system_prompt"] is None
    tokens = [
        json.loads((done.path / "losses.jsonl").read_text().splitlines()[1])["tokens"]
        for done in (with_it, without)
    ]
    assert tokens[0] > tokens[1] + 4 * 100


def test_an_architecture_without_weights_is_trained_for_its_memory_and_time(
    pairs: Path, tmp_path: Path
) -> None:
    shapes = tmp_path / "config.json"
    shapes.write_text(json.dumps(tiny_llama(400).config.to_dict()))
    done = train(shapes, pairs, tmp_path / "run")
    assert any("weights are random" in note for note in student_of(done)["notes"])
    measured = {m.metric: m for m in done.manifest.measurements}
    assert measured["heldout_loss_after"].conditions["weights"] == "random"
    assert not (done.path / "adapter.gguf").exists()


LIGHT = """
import sys
from pathlib import Path
from tests.train.test_run import CONFIG, inputs_of
from seemant.train.session import train_session

train_session(CONFIG, inputs_of(Path(sys.argv[1]), Path(sys.argv[2])), Path(sys.argv[3]))
heavy = {"transformers", "peft", "scipy", "polars", "plotly", "accelerate", "xllamacpp", "rich"}
found = heavy & {name.split(".")[0] for name in sys.modules}
sys.exit(f"imported {found}" if found else 0)
"""


def test_a_training_process_imports_torch_and_little_else(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", LIGHT, str(base), str(pairs), str(tmp_path / "out")]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-400:]


def test_the_stage_is_described_without_loading_torch() -> None:
    code = "import sys, seemant.train.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def timeless(done: Done) -> list[str]:
    return [m.model_dump_json() for m in done.manifest.measurements if not m.timed]


KILLED = """
import sys
from pathlib import Path
from tests.train.test_run import LONGER, train

train(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), LONGER)
"""


def test_after_kill_9_the_artefact_is_the_same_to_the_byte(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    whole = train(base, pairs, tmp_path / "whole", LONGER)
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(base), str(pairs), str(out)]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], env=os.environ, stderr=subprocess.PIPE
    )
    limit = time.monotonic() + 60
    while not list(out.glob(".checkpoints/step_00000[3-9]")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < limit
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not (out / "manifest.json").exists()
    again = train(base, pairs, out, LONGER)
    events = (out / "events.jsonl").read_text()
    assert '"kind": "resumed"' in events
    assert again.manifest.content_sha256 == whole.manifest.content_sha256
    assert timeless(again) == timeless(whole)


def test_bad_lines_are_set_aside_and_other_languages_left_out(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    write_records(path, [*some_pairs(20), pair("कौन?", "मैं", lang="hi")])
    with path.open("ab") as file:
        file.write(b'{"instruction": "no output", "lang": "en"}\n\xff\xfe\n')
    done = train(base, path, tmp_path / "run", CONFIG.model_copy(update={"languages": ("en",)}))
    rejected = (done.path / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) == 2
    (aside,) = map(json.loads, (done.path / "set_aside.jsonl").read_text().splitlines())
    assert aside["reason"] == "language" and aside["lang"] == "hi"
    found = {(m.metric, m.lang): m.value for m in done.manifest.measurements}
    assert found["set_aside_language", None] == 1
    assert json.loads((done.path / "student.json").read_text())["languages"] == ["en"]


def test_pairs_of_no_carried_language_are_an_input_error(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadRecord, match="no pair is left"):
        train(base, pairs, tmp_path / "r", CONFIG.model_copy(update={"languages": ("kn",)}))


def test_without_held_out_pairs_it_trains_all_the_same(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    done = train(base, pairs, tmp_path / "r", CONFIG.model_copy(update={"heldout_share": 0.0}))
    assert not any("heldout_loss" in m.metric for m in done.manifest.measurements)
    assert json.loads((done.path / "losses.jsonl").read_text().splitlines()[0])["step"] == 1


def test_an_artefact_s_model_can_be_trained(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.models.backends.tiny import write_tiny

    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bundle").mkdir()
    write_tiny(tmp_path / "bundle" / "model.gguf")
    config = CONFIG.model_copy(update={"steps": 1})
    done = train(tmp_path / "bundle", pairs, tmp_path / "run", config)
    assert (done.path / "adapter.gguf").is_file()
    assert done.manifest.measurements[0].subject == "bundle+lora"


def test_an_input_without_its_weight_is_an_input_error(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    for role in ("replay", "targets"):
        inputs = inputs_of(base, pairs) | {role: file_input(pairs)}
        with pytest.raises(InputError, match=f"`{role}` is given, but its weight is 0"):
            execute(STAGE, CONFIG, inputs, store=tmp_path, out=tmp_path / role)


def test_what_is_held_out_is_never_replayed(base: Path, pairs: Path, tmp_path: Path) -> None:
    other = [pair(f"old {i}?", "yes", paragraph_id=f"old{i}") for i in range(10)]
    again = tmp_path / "again.jsonl"
    write_records(again, [*some_pairs(60), *other])
    inputs = inputs_of(base, pairs) | {"replay": file_input(again)}
    config = CONFIG.model_copy(update={"replay": 0.5})
    found = found_in(execute(STAGE, config, inputs, store=tmp_path, out=tmp_path / "run"))
    assert found["pairs_heldout", "en", None] == 18
    assert found["replay_dropped", None, None] == 18
    trained = found["pairs_trained", "en", "replay"] + found["pairs_heldout", "en", "replay"]
    assert trained == 60 + 10 - 18


@pytest.mark.parametrize("more", [{"keep": "best-loss"}, {"kl_stop": 0.5}])
def test_a_rule_that_needs_held_out_pairs_is_refused_without_any(
    base: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    path = tmp_path / "one.jsonl"
    write_records(path, [pair("a?", "b", paragraph_id="p"), pair("c?", "d", paragraph_id="p")])
    with pytest.raises(InputError, match="none is held out") as caught:
        train(base, path, tmp_path / "run", CONFIG.model_copy(update=more))
    assert "--heldout-share" in str(caught.value)


def test_method_full_computes_in_the_type_that_is_asked_for(base: Path) -> None:
    import torch

    from seemant.train.opened import open_model

    for compute in ("float32", "bfloat16"):
        config = CONFIG.model_copy(update={"method": "full", "compute": compute})
        decoder = open_model(base, config).decoder
        assert decoder(torch.arange(6), [6]).dtype == getattr(torch, compute)
        assert {p.dtype for p in decoder.parameters()} == {torch.float32}


def test_the_reported_loss_is_the_cross_entropy_whatever_is_minimised(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    lines = {}
    for name, more in (("plain", {}), ("odd", {"label_smoothing": 0.3, "z_loss": 0.1})):
        config = CONFIG.model_copy(update={"steps": 1, **more})
        done = train(base, pairs, tmp_path / name, config)
        lines[name] = json.loads((done.path / "losses.jsonl").read_text().splitlines()[1])
        given = next(m for m in done.manifest.measurements if m.metric == "train_loss_first")
        assert {k: given.conditions[k] for k in more} == more
    assert lines["odd"]["loss"] == pytest.approx(lines["plain"]["loss"], rel=1e-6)
    assert lines["odd"]["minimised"] > lines["odd"]["loss"] + 0.1
    assert lines["plain"]["minimised"] == pytest.approx(lines["plain"]["loss"], rel=1e-6)
