"""The stage `targets`: a teacher's word on every answer, in shards that resume."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from seemant.core.errors import BadConfig
from seemant.core.jsonl import read_records, write_records
from seemant.core.records import Pair
from seemant.core.stage import Done, execute, file_input
from seemant.train.config import TrainConfig
from seemant.train.rows.dataset import pairs_file
from seemant.train.rows.form import form_of
from seemant.train.teacher import shards as teacher_room
from seemant.train.teacher.config import TargetsConfig
from seemant.train.teacher.run import STAGE
from seemant.train.teacher.stored import open_stored
from tests.train.tiny import byte_level, some_pairs, tiny_llama

CONFIG = TargetsConfig(k=8, shard=3, tokens=60, threads=1, vocab_block=64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "tiny"
    tokenizer = byte_level()
    tiny_llama(tokenizer.n_tokens).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    write_records(path, some_pairs(20))
    return path


def targets(model: Path, pairs: Path, out: Path, config: TargetsConfig = CONFIG) -> Done:
    inputs = {"model": file_input(model, f"path:{model.name}"), "pairs": file_input(pairs)}
    return execute(STAGE, config, inputs, store=out, out=out)


def test_every_pair_finds_its_targets_whatever_the_shards(
    model: Path, pairs: Path, tmp_path: Path
) -> None:
    done = targets(model, pairs, tmp_path / "a")
    other = CONFIG.model_copy(update={"shard": 7, "tokens": 1000})
    targets(model, pairs, tmp_path / "b", other)
    form = form_of(model, TrainConfig())
    one, two = (open_stored(tmp_path / name, form.tokenizer, 1.0) for name in "ab")
    rows = [form.row(pair) for pair in read_records(pairs_file(pairs), Pair)]
    for row in reversed(rows):
        a, b = one.of(row), two.of(row)
        assert a is not None and b is not None
        assert len(a.ids) == row.n_answer and a.ids.shape[1] == 8
        assert (a.ids == b.ids).float().mean() > 0.98  # neighbours of equal logits may swap
        assert (a.logp - b.logp).abs().max() < 0.02
    found = {(m.metric, m.lang): m for m in done.manifest.measurements}
    assert found["targets_pairs", None].value == 20
    assert found["targets_tokens", None].value == sum(row.n_answer for row in rows)
    loss = found["teacher_loss", None]
    assert loss.n_clusters == 10 and loss.ci_low is not None and loss.ci_low < loss.value
    nats = sum(-float(one.of(row).logp[:, 0].sum()) for row in rows)  # type: ignore[union-attr]
    assert loss.value == pytest.approx(nats / sum(row.n_answer for row in rows), rel=1e-3)
    assert 0 < found["tail_mass", None].value < 1


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    model: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = targets(model, pairs, tmp_path / "whole")
    ask, asked, deaths = teacher_room.ask_teacher, [], [9]

    def dies(decoder, rows, k, how):  # type: ignore[no-untyped-def]
        asked.append(rows)
        if deaths and len(asked) == deaths[0]:
            raise RuntimeError(f"killed at {deaths.pop()}")
        return ask(decoder, rows, k, how)

    monkeypatch.setattr(teacher_room, "ask_teacher", dies)
    with pytest.raises(RuntimeError, match="killed"):
        targets(model, pairs, tmp_path / "cut")
    before = len(asked)
    torn = tmp_path / "cut" / "targets_0001.safetensors"
    torn.write_bytes(torn.read_bytes()[:-5])
    again = targets(model, pairs, tmp_path / "cut")
    n_asked = len(asked) - before
    asked.clear()
    targets(model, pairs, tmp_path / "fresh")
    assert 0 < n_asked < len(asked)  # what was whole was not asked again
    names = {f.path for f in whole.manifest.files} - {"events.jsonl", "journal.jsonl"}
    assert "targets_0007.safetensors" in names and "index.jsonl" in names
    for name in names:
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    numbers = [[m.value for m in d.manifest.measurements] for d in (whole, again)]
    assert numbers[0] == numbers[1]


def test_other_pairs_in_the_same_folder_are_not_taken_for_these(
    model: Path, tmp_path: Path
) -> None:
    import torch

    from seemant.models.decoder.load import load_decoder
    from seemant.train.loss.stream import Reading
    from seemant.train.teacher.shards import store_all

    form = form_of(model, TrainConfig())
    rows = [form.row(pair) for pair in some_pairs(4)]
    decoder = load_decoder(model, words=False).decoder
    with torch.random.fork_rng(devices=[]):
        first = store_all(decoder, [rows[:2]], 4, 100, Reading(64), tmp_path)
        second = store_all(decoder, [rows[2:]], 4, 100, Reading(64), tmp_path)
        again = store_all(decoder, [rows[2:]], 4, 100, Reading(64), tmp_path)
    assert first != second
    assert second == again


def test_long_pairs_are_set_aside_and_counted(model: Path, pairs: Path, tmp_path: Path) -> None:
    short = CONFIG.model_copy(update={"max_length": 60})
    done = targets(model, pairs, tmp_path / "run", short)
    found = {m.metric: m.value for m in done.manifest.measurements if m.lang is None}
    aside = [json.loads(s) for s in (done.path / "set_aside.jsonl").read_text().splitlines()]
    assert found["set_aside_too_long"] == len(aside) > 0
    assert found["targets_pairs"] == 20 - len(aside)


def test_more_tokens_than_the_teacher_has_are_refused(
    model: Path, pairs: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadConfig, match="tokens"):
        targets(model, pairs, tmp_path / "run", CONFIG.model_copy(update={"k": 100_000}))


def test_the_stage_is_described_without_torch_and_runs_without_transformers(
    model: Path, pairs: Path, tmp_path: Path
) -> None:
    code = "import sys, seemant.train.teacher.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = f"""
import sys
from pathlib import Path
from seemant.core.stage import file_input
from seemant.train.teacher.config import TargetsConfig
from seemant.train.teacher.run import run
model = file_input(Path({str(model)!r}), "path:tiny")
inputs = {{"model": model, "pairs": file_input(Path({str(pairs)!r}))}}
out = Path({str(tmp_path / "light")!r})
out.mkdir()
run(TargetsConfig(k=4, threads=1), inputs, out)
heavy = {{"transformers", "peft", "scipy", "polars", "plotly"}} & set(sys.modules)
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
