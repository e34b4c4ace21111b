"""Killed at any step, the run ends with the bytes of one that was never killed."""

import errno
import shutil
from pathlib import Path

import pytest
import torch

from seemant.core.errors import BadFile, DiskFull
from seemant.train import checkpoint
from seemant.train import fit as fit_module
from seemant.train.config import TrainConfig
from seemant.train.fit import Fitted, fit
from seemant.train.loop import Progress
from seemant.train.render import render
from tests.train.tiny import some_pairs, tiny_llama

# 7 rows in micro-batches of 2 are 4 to an epoch: 6 steps of 3 cross the epoch's end inside a step.
CONFIG = TrainConfig(rank=2, steps=6, batch=2, accumulation=3, warmup=2, save_every=1, eval_every=2)


def go(form, out: Path, config: TrainConfig = CONFIG, belongs=None) -> Fitted:
    rows = [render(each, *form) for each in some_pairs(9)]
    out.mkdir(exist_ok=True)
    model = tiny_llama(form[1].n_tokens)
    return fit(model, rows[:7], rows[7:], config, out, belongs=belongs or {"data": "d"})


def state_of(fitted: Fitted) -> list[bytes]:
    tensors = [(m.lora_a, m.lora_b) for m in fitted.adapters.values()]
    return [t.detach().numpy().tobytes() for pair in tensors for t in pair]


class Killed(Exception):
    """Stands for a kill: nothing of the run may clean up after it."""


def killed_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fit_module.train

    def train(*given, **named):
        ticks = named["tick"]

        def tick(*args, **more):
            ticks(*args, **more)
            if given[6].step == step:
                raise Killed

        return real(*given, **named | {"tick": tick})

    monkeypatch.setattr(fit_module, "train", train)


def test_resuming_after_every_step_gives_the_same_bits(
    plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(5)
    whole = go(plain, tmp_path / "whole")
    moments = (tmp_path / "whole/.checkpoints/step_000006/tensors.safetensors").read_bytes()
    for step in range(1, 6):
        out = tmp_path / f"killed{step}"
        torch.manual_seed(5)
        with monkeypatch.context() as patch:
            killed_after(step, patch)
            with pytest.raises(Killed):
                go(plain, out)
        torch.manual_seed(99)  # the generator's state comes from the checkpoint
        again = go(plain, out)
        assert again.progress.bit_exact
        assert state_of(again) == state_of(whole)
        assert again.progress == whole.progress
        assert (out / "losses.jsonl").read_bytes() == (tmp_path / "whole/losses.jsonl").read_bytes()
        assert (out / ".checkpoints/step_000006/tensors.safetensors").read_bytes() == moments


def test_saving_less_often_changes_nothing(plain, tmp_path: Path) -> None:
    often, seldom = go(plain, tmp_path / "a"), CONFIG.model_copy(update={"save_every": 4})
    assert state_of(go(plain, tmp_path / "b", seldom)) == state_of(often)


def stopped_at_three(form, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            go(form, out)


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
    plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = go(plain, tmp_path / "whole")
    stopped_at_three(plain, tmp_path / "torn", monkeypatch)
    newest = tmp_path / "torn/.checkpoints/step_000003/tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-10])
    assert state_of(go(plain, tmp_path / "torn")) == state_of(whole)
    shutil.rmtree(tmp_path / "torn")
    stopped_at_three(plain, tmp_path / "torn", monkeypatch)
    (tmp_path / "torn/.checkpoints/step_000003/state.json").write_text("{")
    assert state_of(go(plain, tmp_path / "torn")) == state_of(whole)


def test_two_are_kept_while_it_runs_and_one_when_it_is_done(
    plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_at_three(plain, tmp_path / "run", monkeypatch)
    names = sorted(path.name for path in (tmp_path / "run/.checkpoints").iterdir())
    assert names == ["step_000002", "step_000003"]
    go(plain, tmp_path / "run")
    assert [p.name for p in (tmp_path / "run/.checkpoints").iterdir()] == ["step_000006"]


def test_a_full_disk_keeps_the_old_checkpoint_and_the_run_goes_on_later(
    plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "full"
    real = checkpoint._write_synced

    def full(path: Path, content: bytes) -> None:
        if "000003" in str(path):
            real(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_write_synced", full)
        with pytest.raises(DiskFull):
            go(plain, out)
    names = sorted(path.name for path in (out / ".checkpoints").iterdir())
    assert names == ["step_000001", "step_000002"]
    assert state_of(go(plain, out)) == state_of(go(plain, tmp_path / "whole"))


def test_checkpoints_of_other_data_are_refused(
    plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_at_three(plain, tmp_path / "run", monkeypatch)
    with pytest.raises(BadFile, match="belong to another run: other data"):
        go(plain, tmp_path / "run", belongs={"data": "other"})


def test_another_number_of_threads_goes_on_but_says_so_to_the_end(
    plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    stopped_at_three(plain, out, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "bits_depend_on", lambda threads: {"threads": 64})
        killed_after(4, patch)
        with pytest.raises(Killed):
            go(plain, out)
    shutil.rmtree(out / ".checkpoints/step_000003")  # step 4 was written by 64 threads
    monkeypatch.setattr(fit_module, "bits_depend_on", lambda threads: {"threads": 64})
    assert not go(plain, out).progress.bit_exact


def test_nothing_there_is_a_fresh_start(plain, tmp_path: Path) -> None:
    assert checkpoint.resume(tmp_path, {}, None, belongs={}, machine={}) == Progress()
