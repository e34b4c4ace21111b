"""The loop: learning, what it logs, what it keeps, what stops it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from seemant.core.errors import WorldError
from seemant.core.runlog import read_events
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.trainable import trainable_decoder
from seemant.train.config import TrainConfig
from seemant.train.fit import Fitted, Surroundings, fit, pace_of
from seemant.train.hooks import QuietHook, Verdict
from seemant.train.lines import StepLine
from seemant.train.optim import learning_rate
from seemant.train.pretrain.start import first_weights
from seemant.train.rows.order import Cut, Order
from seemant.train.rows.render import Row, render
from seemant.train.scale.world import Lone
from tests.train.tiny import decoder_of, needs_package, pair, tiny_gemma, tiny_llama

PAIRS = [
    pair("Capital of India?", "New Delhi"),
    pair("Who are you?", "A small model, and glad of it"),
    pair("2+2?", "4"),
    pair("Colour of milk?", "White"),
]
NOWHERE = Surroundings(belongs={}, machine={})


def rows_of(form: Any) -> list[Row]:
    return [render(each, *form) for each in PAIRS]


def memorise(
    form: Any,
    out: Path,
    make: Callable[..., Any] = tiny_llama,
    around: Surroundings = NOWHERE,
    **more: Any,
) -> Fitted:
    given = {"rank": 8, "lr": 0.02, "steps": 40, "batch": 2, "accumulation": 2, "warmup": 2}
    rows = rows_of(form)
    config = TrainConfig(**given | more)
    return fit(decoder_of(make(form[1].n_tokens)), rows, rows[:2], config, out, around)


VARIANTS: list[dict[str, Any]] = [
    {"method": "dora"},
    {"method": "rslora", "alpha": 4.0},
    {"pack": 200, "accumulation": 1},
    {"checkpointing": True, "dropout": 0.1},
    {"optimiser": "lion", "lr": 0.005},
    {"optimiser": "adamw8bit"},
    {"optimiser": "adafactor"},
    {"label_smoothing": 0.01, "z_loss": 1e-4, "schedule": "linear"},
]


def memorised(fitted: Fitted, steps: int) -> None:
    losses = [line.loss for line in fitted.progress.history if line.loss is not None]
    assert len(losses) == steps
    assert losses[-1] < 0.3 * losses[0]
    assert sum(fitted.progress.now) < 0.3 * sum(fitted.progress.before)
    assert fitted.kl is not None and all(value > 0 for value in fitted.kl)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_four_pairs_are_memorised(form: Any, tmp_path: Path, make: Any) -> None:
    memorised(memorise(form, tmp_path, make), 40)


@pytest.mark.parametrize("more", VARIANTS, ids=lambda value: "-".join(value))
def test_and_so_they_are_in_every_other_way(plain: Any, tmp_path: Path, more: Any) -> None:
    needs_package(more.get("optimiser"))
    memorised(memorise(plain, tmp_path, steps=30, **more), 30)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(form: Any, tmp_path: Path) -> None:
    def bits(name: str, seed: int) -> bytes:
        out = tmp_path / name
        out.mkdir()
        fitted = memorise(form, out, steps=3, seed=seed, dropout=0.2)
        last = list(fitted.adapters.values())[-1]
        return bytes(last.lora_b.detach().numpy().tobytes()) + (out / "losses.jsonl").read_bytes()

    first = bits("a", 1)
    assert bits("b", 1) == first
    assert bits("c", 2) != first


def test_recomputing_layers_changes_no_bit_even_with_dropout(plain: Any, tmp_path: Path) -> None:
    losses = []
    for name, again in (("kept", False), ("again", True)):
        out = tmp_path / name
        out.mkdir()
        memorise(plain, out, steps=4, dropout=0.3, checkpointing=again)
        losses.append((out / "losses.jsonl").read_bytes())
    assert losses[0] == losses[1]


def test_losses_are_logged_with_tokens_buckets_and_heldout_values(
    form: Any, tmp_path: Path
) -> None:
    fitted = memorise(form, tmp_path, steps=5, eval_every=2)
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 5]
    measured = [line["step"] for line in lines if line["heldout_loss"] is not None]
    assert measured == [0, 2, 4, 5]
    assert lines[0]["loss"] is None
    assert all(line["tokens"] > line["answer_tokens"] > 0 for line in lines[1:])
    assert all(line["loss_by_bucket"] == {"pairs": line["loss"]} for line in lines[1:])
    config = TrainConfig(lr=0.02, steps=5, warmup=2)
    pace = pace_of(config, Order([9], Cut(batch=2), 0))
    assert [line["lr"] for line in lines[1:]] == [learning_rate(i, pace) for i in range(5)]
    assert fitted.progress.history == [StepLine.model_validate(line) for line in lines]
    events = read_events(tmp_path, "step")
    assert [event["step"] for event in events] == [1, 2, 3, 4, 5]
    lengths = sorted(len(row.ids) for row in rows_of(form))
    for event in events:
        assert lengths[-2] < event["micro_tokens"] <= lengths[-1] + lengths[-2]
        assert 0 < event["micro_answers"] < event["micro_tokens"]
    assert all(event["rss"] > 0 and event["seconds"] > 0 for event in events)


def test_epochs_are_turned_into_steps(plain: Any, tmp_path: Path) -> None:
    fitted = memorise(plain, tmp_path, epochs=3, steps=None, batch=1, accumulation=2)
    assert fitted.progress.step == 6


class Poisoned:
    """Makes a decoder's hidden states NaN from its n-th call on."""

    def __init__(self, decoder: Any, calls: int) -> None:
        self.real, self.left = decoder.forward, calls

    def __call__(self, ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        self.left -= 1
        h = self.real(ids, lengths)
        return h * torch.nan if self.left < 0 else h


def test_a_nan_stops_the_run_and_keeps_the_batch_that_did_it(plain: Any, tmp_path: Path) -> None:
    rows = rows_of(plain)
    config = TrainConfig(rank=8, lr=0.02, steps=9, batch=2, accumulation=2, save_every=1)
    decoder = decoder_of(tiny_llama(plain[1].n_tokens))
    decoder.forward = Poisoned(decoder, calls=1 + 2 * 2)  # the held-out look, then two steps
    with pytest.raises(WorldError, match="step 3 is not finite"):
        fit(decoder, rows, rows[:1], config, tmp_path, NOWHERE)
    kept = json.loads((tmp_path / "nan_step_3.json").read_text())
    assert kept["step"] == 3 and kept["last_checkpoint"] == "step_000002"
    ids = {tuple(row["ids"]) for batch in kept["rows"] for row in batch}
    assert ids == {tuple(row.ids) for row in rows}
    assert (tmp_path / ".checkpoints" / "step_000002").is_dir()
    # What broke is mended: the same call goes on and clears the note.
    sound = decoder_of(tiny_llama(plain[1].n_tokens))
    fitted = fit(sound, rows, rows[:1], config, tmp_path, NOWHERE)
    assert fitted.progress.step == 9
    assert not list(tmp_path.glob("nan_step_*"))


class Scripted(QuietHook):
    """A hook that says what a script tells it, and notes what it was shown."""

    name = "alarm"

    def __init__(self, script: Mapping[int, Verdict], looks: frozenset[int] = frozenset()) -> None:
        self.script, self.looks = script, looks
        self.begun: list[list[float]] = []
        self.lines: list[StepLine] = []

    def begin(self, nats: Any) -> None:
        self.begun.append(list(nats))

    def wants_loss(self, step: int) -> bool:
        return step in self.looks

    def after_step(self, line: StepLine, nats: Any) -> Verdict | None:
        self.lines.append(line)
        return self.script.get(line.step)

    def state(self) -> dict[str, Any]:
        return {"seen": len(self.lines)}

    def restore(self, state: Any, tensors: Any) -> None:
        self.lines = [None] * state["seen"]  # type: ignore[list-item]


def hooked(hook: Scripted) -> Surroundings:
    return Surroundings(belongs={}, machine={}, more_hooks=lambda *_: [hook])


def weights_of(fitted: Fitted) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in fitted.parameters.values()]


def test_a_hook_is_begun_once_asked_after_every_step_and_gets_the_loss_it_wants(
    plain: Any, tmp_path: Path
) -> None:
    hook = Scripted({}, frozenset({2, 3}))
    fitted = memorise(plain, tmp_path, around=hooked(hook), steps=5, eval_every=50)
    assert hook.begun == [fitted.progress.before]
    assert [line.step for line in hook.lines] == [1, 2, 3, 4, 5]
    assert [line.heldout_loss is not None for line in hook.lines] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_a_hook_can_stop_the_run_and_it_stays_stopped(plain: Any, tmp_path: Path) -> None:
    hook = Scripted({3: Verdict(action="stop", why="enough")})
    fitted = memorise(plain, tmp_path, around=hooked(hook), steps=9)
    assert fitted.progress.step == 3
    assert fitted.progress.ended == "stop: alarm: enough"
    again = memorise(plain, tmp_path, around=hooked(Scripted({})), steps=9)
    assert again.progress.step == 3 and weights_of(again) == weights_of(fitted)


@pytest.mark.parametrize("keep", ["last", "best-behaviour"])
def test_a_rollback_takes_back_the_best_weights(plain: Any, tmp_path: Path, keep: str) -> None:
    script = {
        2: Verdict(best=True, score=0.5),
        3: Verdict(best=True, score=0.7),
        6: Verdict(action="rollback", why="fell"),
    }
    out, upto = tmp_path / "run", tmp_path / "upto"
    out.mkdir()
    upto.mkdir()
    more = {"keep": keep, "alarm": "rollback", "schedule": "constant", "keep_checkpoints": 1}
    fitted = memorise(plain, out, around=hooked(Scripted(script)), steps=9, **more)
    want = memorise(plain, upto, steps=3, schedule="constant")
    assert fitted.progress.step == 6 and fitted.progress.best["alarm"].step == 3
    assert weights_of(fitted) == weights_of(want)
    assert fitted.progress.now == want.progress.now  # measured on what is kept
    (kept,) = read_events(out, "kept")
    assert kept["step"] == 3 and kept["score"] == 0.7


class Ruined(Scripted):
    """Names the untrained student the best, and nothing after it."""

    def begin(self, nats: Any) -> Verdict:
        return Verdict(best=True, score=0.0)


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
@pytest.mark.parametrize("ended", ["rollback", "kept"])
def test_a_student_that_was_never_good_is_given_back_untrained(
    plain: Any, tmp_path: Path, method: str, ended: str
) -> None:
    script = {2: Verdict(action="rollback", why="fell")} if ended == "rollback" else {}
    keep = "last" if ended == "rollback" else "best-behaviour"
    around = hooked(Ruined(script))
    more = {"keep": keep, "alarm": "log", "method": method, "keep_checkpoints": 1}
    rows, config = rows_of(plain), TrainConfig(lr=0.02, steps=4, save_every=1, **more)
    decoder = decoder_of(tiny_llama(plain[1].n_tokens))
    if method == "full":
        shape = shape_of_config(tiny_llama(plain[1].n_tokens).config.to_dict())
        decoder = trainable_decoder(shape, seed=0, state=first_weights(shape, 0))
    first = {name: each.detach().clone() for name, each in decoder.named_parameters()}
    fitted = fit(decoder, rows, rows[:2], config, tmp_path, around)
    assert fitted.progress.now == fitted.progress.before
    assert any(line.heldout_loss for line in fitted.progress.history)
    if method == "full":
        assert all(torch.equal(p, first[name]) for name, p in fitted.parameters.items())
    else:
        assert all(not each.lora_b.any() for each in fitted.adapters.values())


def test_the_weights_with_the_lowest_heldout_loss_are_kept(plain: Any, tmp_path: Path) -> None:
    rows = rows_of(plain)
    config = TrainConfig(
        rank=8, lr=0.02, steps=25, batch=2, accumulation=1, warmup=2, schedule="constant",
        eval_every=1, keep="best-loss", save_every=100, keep_checkpoints=1,
    )  # fmt: skip
    decoder = decoder_of(tiny_llama(plain[1].n_tokens))
    fitted = fit(decoder, rows[2:], rows[:2], config, tmp_path, NOWHERE)
    history = {line.step: line.heldout_loss for line in fitted.progress.history if line.step}
    best = min(history, key=lambda step: history[step] or 9e9)
    assert fitted.progress.best["loss"].step == best < 25  # two pairs are soon learned by heart
    tokens = sum(row.n_answer for row in rows[:2])
    assert sum(fitted.progress.now) / tokens == pytest.approx(history[best], rel=1e-6)
    assert history[25] > history[best]


def test_asked_to_stop_it_saves_says_so_and_goes_on_later(plain: Any, tmp_path: Path) -> None:
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) == 4

    around = Surroundings(belongs={}, machine={}, stop=stop)
    with pytest.raises(WorldError, match="asked to stop after step 4"):
        memorise(plain, tmp_path, around=around, steps=7, save_every=100)
    fitted = memorise(plain, tmp_path, steps=7, save_every=100)
    whole = tmp_path / "whole"
    whole.mkdir()
    assert weights_of(fitted) == weights_of(memorise(plain, whole, steps=7))


class OneOfTwo(Lone):
    """A rank of two, alone in this process; it notes what it is asked to place."""

    size = 2

    def __init__(self, rank: int) -> None:
        super().__init__("cpu")
        self.rank, self.placed = rank, 0

    def place(self, decoder: Any) -> None:
        self.placed += 1


@pytest.mark.parametrize("rank", [0, 1])
def test_only_rank_0_writes_and_is_shown_in_other_tools(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    tracked: list[int] = []

    class Noting(QuietHook):
        name = "track"

        def after_step(self, line: StepLine, _nats: Any) -> Verdict | None:
            tracked.append(line.step)
            return None

    monkeypatch.setattr("seemant.train.fit.tracker", lambda *_: [Noting()])
    world = OneOfTwo(rank)
    around = Surroundings(belongs={}, machine={}, world=world)
    memorise(plain, tmp_path, around=around, steps=2, track="mlflow")
    assert world.placed == 1
    assert tracked == ([1, 2] if rank == 0 else [])
    assert bool(list(tmp_path.iterdir())) == (rank == 0)


def test_a_run_says_where_it_computes_and_a_limited_one_stays_on_the_cpu(
    plain: Any, tmp_path: Path
) -> None:
    world = OneOfTwo(0)
    around = Surroundings(belongs={}, machine={}, world=world)
    memorise(plain, tmp_path, around=around, steps=1, memory_limit="2GB")
    assert world.placed == 0
    (said,) = [each for each in read_events(tmp_path) if each["kind"] == "device"]
    assert said["device"] == "cpu"
