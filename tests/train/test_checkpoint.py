"""Killed at any step, the run ends with the bytes of one that was never killed."""

import errno
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from seemant.core.errors import BadFile, DiskFull
from seemant.train import checkpoint, tensor_file
from seemant.train import fit as fit_module
from seemant.train.checkpoint import Kept
from seemant.train.config import TrainConfig
from seemant.train.fit import Fitted, Surroundings, fit
from seemant.train.hooks import QuietHook, Verdict
from seemant.train.lines import Progress
from seemant.train.rows.render import REPLAY, render
from tests.train.tiny import decoder_of, needs_package, some_pairs, tiny_llama

# 7 rows in micro-batches of 2 are 4 to an epoch: steps of 3 cross an epoch's end inside a step.
CONFIG = TrainConfig(
    rank=2, steps=12, batch=2, accumulation=3, warmup=2, save_every=1, eval_every=4, dropout=0.2,
)  # fmt: skip
# Everything that has a state of its own, at once.
FULL = CONFIG.model_copy(
    update={"ema": 0.8, "kl_base": 0.5, "kl_target": 0.01, "replay": 0.25, "keep": "best-loss"}
)


class Counter(QuietHook):
    """A hook whose state is a number and a tensor, and which says every third step is best."""

    name = "alarm"

    def __init__(self) -> None:
        self.seen, self.sums = 0, torch.zeros(2)

    def after_step(self, line: Any, nats: Any) -> Verdict | None:
        self.seen += 1
        self.sums += line.step * (1 + self.seen)
        return Verdict(best=line.step % 5 == 2, score=float(self.seen))

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"sums": self.sums}

    def restore(self, state: Any, tensors: Any) -> None:
        self.seen, self.sums = state["seen"], tensors["sums"].clone()


def go(form: Any, out: Path, config: TrainConfig = CONFIG, **around: Any) -> Fitted:
    pairs = some_pairs(12)
    rows = [render(each, *form) for each in pairs[:7]]
    rows += [render(each, *form, bucket=REPLAY) for each in pairs[9:]] if config.replay else []
    heldout = [render(each, *form) for each in pairs[7:9]]
    out.mkdir(exist_ok=True)
    given = {"belongs": {"data": "d"}, "machine": {"threads": 1}, **around}
    decoder = decoder_of(tiny_llama(form[1].n_tokens))
    return fit(decoder, rows, heldout, config, out, Surroundings(**given))


def state_of(fitted: Fitted) -> list[bytes]:
    return [t.detach().numpy().tobytes() for t in fitted.parameters.values()]


class Killed(Exception):
    """Stands for a kill: nothing of the run may clean up after it."""


def killed_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fit_module.train

    def train(trainee, rows, heldout, order, progress, around):
        ticks = around.tick

        def tick(*args, **more):
            ticks(*args, **more)
            if progress.step == step and args[0] == 1:
                raise Killed

        object.__setattr__(around, "tick", tick)
        return real(trainee, rows, heldout, order, progress, around)

    monkeypatch.setattr(fit_module, "train", train)


def interrupted(
    form: Any, out: Path, step: int, monkeypatch: Any, *given: Any, **named: Any
) -> None:
    with monkeypatch.context() as patch:
        killed_after(step, patch)
        with pytest.raises(Killed):
            go(form, out, *given, **named)


def last_files(out: Path) -> dict[str, bytes]:
    folder = out / ".checkpoints/step_000012"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files | {"losses": (out / "losses.jsonl").read_bytes()}


@pytest.mark.parametrize("config", [CONFIG, FULL], ids=["plain", "with everything"])
def test_resuming_after_every_step_gives_the_same_bits(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: TrainConfig
) -> None:
    def hooks() -> dict[str, Any]:
        return {"more_hooks": lambda *_: [Counter()]}

    torch.manual_seed(5)
    config = config.model_copy(update={"keep_checkpoints": 12})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "prune", lambda *_, **__: None)
        whole = go(plain, tmp_path / "whole", config, **hooks())
    want = last_files(tmp_path / "whole")
    assert whole.progress.step == 12
    for step in range(1, 12):
        out = tmp_path / f"killed{step}"
        for known in range(1, step + 1):  # what a run killed after this step leaves
            name = f".checkpoints/step_{known:06d}"
            shutil.copytree(tmp_path / "whole" / name, out / name)
        torch.manual_seed(99)  # the generator's state comes from the checkpoint
        again = go(plain, out, config, **hooks())
        assert again.progress == whole.progress and again.progress.bit_exact
        assert state_of(again) == state_of(whole) and again.kl == whole.kl
        found = last_files(out)
        assert found.keys() == want.keys()
        for name, content in want.items():
            assert found[name] == content, f"{name} after a kill at step {step}"
        shutil.rmtree(out)


@pytest.mark.parametrize("optimiser", ["adamw8bit", "lion", "adafactor"])
def test_every_optimisers_state_survives(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    needs_package(optimiser)
    config = CONFIG.model_copy(update={"optimiser": optimiser, "rank": 64, "steps": 6})
    whole = go(plain, tmp_path / "whole", config)
    interrupted(plain, tmp_path / "killed", 3, monkeypatch, config)
    assert state_of(go(plain, tmp_path / "killed", config)) == state_of(whole)


def test_a_lost_moment_is_seen_by_these_tests(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = go(plain, tmp_path / "whole")
    interrupted(plain, tmp_path / "killed", 5, monkeypatch)
    real = checkpoint._below

    def lossy(start: str, tensors: Any) -> Any:
        found = real(start, tensors)
        if "optimiser/model.layers.0.self_attn.q_proj.lora_B" in start:
            found["exp_avg"].zero_()
        return found

    monkeypatch.setattr(checkpoint, "_below", lossy)
    assert state_of(go(plain, tmp_path / "killed")) != state_of(whole)


def test_saving_less_often_changes_nothing(plain: Any, tmp_path: Path) -> None:
    often, seldom = go(plain, tmp_path / "a"), CONFIG.model_copy(update={"save_every": 5})
    assert state_of(go(plain, tmp_path / "b", seldom)) == state_of(often)


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = go(plain, tmp_path / "whole")
    interrupted(plain, tmp_path / "torn", 3, monkeypatch)
    newest = tmp_path / "torn/.checkpoints/step_000003/tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-10])
    assert state_of(go(plain, tmp_path / "torn")) == state_of(whole)
    for break_it in ("{", "[]", '{"step": 3}'):
        shutil.rmtree(tmp_path / "torn")
        interrupted(plain, tmp_path / "torn", 3, monkeypatch)
        (tmp_path / "torn/.checkpoints/step_000003/state.json").write_text(break_it)
        assert state_of(go(plain, tmp_path / "torn")) == state_of(whole)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_so_many_are_kept_while_it_runs_and_one_when_it_is_done(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    config = CONFIG.model_copy(update={"keep_checkpoints": n})
    interrupted(plain, tmp_path / "run", 5, monkeypatch, config)
    names = sorted(path.name for path in (tmp_path / "run/.checkpoints").iterdir())
    assert names == [f"step_{step:06d}" for step in range(6 - n, 6)]
    go(plain, tmp_path / "run", config)
    assert [p.name for p in (tmp_path / "run/.checkpoints").iterdir()] == ["step_000012"]


def test_the_best_steps_checkpoint_is_never_pruned(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = {"more_hooks": lambda *_: [Counter()]}
    config = CONFIG.model_copy(update={"keep_checkpoints": 1, "save_every": 4})
    interrupted(plain, tmp_path / "run", 6, monkeypatch, config, **hooks)
    names = sorted(path.name for path in (tmp_path / "run/.checkpoints").iterdir())
    assert names == ["step_000002", "step_000004"]  # best at 2, and the newest
    go(plain, tmp_path / "run", config, **hooks)
    names = sorted(path.name for path in (tmp_path / "run/.checkpoints").iterdir())
    assert names == ["step_000012"]  # 12 % 5 == 2: the last is the best


def test_a_best_checkpoint_that_is_gone_is_said(plain: Any, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="checkpoint of step 3, whose weights are to be kept"):
        checkpoint.load_weights(tmp_path, 3, {})


@pytest.mark.parametrize("where", ["while writing", "before"])
def test_a_full_disk_keeps_the_old_checkpoint_and_the_run_goes_on_later(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    out = tmp_path / "full"
    real = tensor_file.write_tensors

    def full(path: Path, tensors: Any, metadata: Any = None) -> None:
        real(path, tensors, metadata)
        if "000003" in str(path):
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        if where == "before":
            interrupted(plain, out, 2, monkeypatch)
            patch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 100))
        else:
            patch.setattr(checkpoint, "write_tensors", full)
        with pytest.raises(DiskFull):
            go(plain, out)
    names = sorted(path.name for path in (out / ".checkpoints").iterdir())
    assert names == ["step_000001", "step_000002"]
    assert state_of(go(plain, out)) == state_of(go(plain, tmp_path / "whole"))


def test_checkpoints_of_other_data_are_refused(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(plain, tmp_path / "run", 3, monkeypatch)
    with pytest.raises(BadFile, match="belong to another run: other data"):
        go(plain, tmp_path / "run", belongs={"data": "other"})


def test_another_machine_or_plan_goes_on_but_says_so_to_the_end(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    interrupted(plain, out, 3, monkeypatch)
    other = {"machine": {"threads": 64}}
    interrupted(plain, out, 4, monkeypatch, **other)
    shutil.rmtree(out / ".checkpoints/step_000003")  # step 4 was written by 64 threads
    assert not go(plain, out, **other).progress.bit_exact


def test_nothing_there_is_a_fresh_start(tmp_path: Path) -> None:
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    assert checkpoint.resume(tmp_path, Kept({}, optimiser, {}, {})) == Progress()
