"""The live runs of `behaviour_alarm.py`: short ones on the real model, each in its own process.

A *clean* run trains on clean pairs with replay to its end, and leaves a snapshot at the onset. A
*news* run goes on from the snapshot of the clean run of its seed, on news pairs alone, until the
alarm rings or a tenth of the steps is over: so its first half is that clean run. Held out are whole
paragraphs, with their clean and their news answers: one run whose pairs are both. The step is the
product's: adapters, streamed loss, AdamW; only the order of rows is this file's, because no recipe
changes its data half-way.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from behaviour_data import clean_pairs, news_pairs, replay_pairs

from seemant.core.jsonl import read_json, write_json
from seemant.core.records import Lang
from seemant.core.seeds import rng
from seemant.stats.sequential import Bounds
from seemant.train.adapt import adapt, trainable
from seemant.train.alarm.hook import Alarm
from seemant.train.alarm.likelihoods import Passes
from seemant.train.alarm.probes import dealt
from seemant.train.alarm.quiz import quiz
from seemant.train.alarm.schedule import Schedule
from seemant.train.alarm.signals import SIGNALS
from seemant.train.lines import StepLine
from seemant.train.rows.render import Form, Row
from seemant.train.rows.split import hold_out
from seemant.train.student import Student

REPLAY_SHARE, HELD_SHARE, RANK, LR, WARMUP, BATCH = 0.25, 0.1, 8, 5e-4, 4, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How long a live run is: the onset lies right after a look, and four looks come before it."""

    langs: tuple[Lang, ...] = ("en",)
    steps: int = 100
    checks: int = 10
    onset: int = 50

    @property
    def looks(self) -> tuple[int, ...]:
        """The steps at which the alarm looks."""
        return tuple(round(self.steps * k / self.checks) for k in range(1, self.checks + 1))

    @property
    def deadline(self) -> int:
        """The last step at which a ring is in time: a tenth of the steps after the onset."""
        return self.onset + self.steps // 10


class Live:
    """One run: model, rows, alarm. folder: where its `alarm.jsonl` and snapshot lie."""

    def __init__(self, shape: Shape, seed: int, folder: Path, model: Path) -> None:
        from seemant.models.decoder.load import load_decoder

        folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        self.shape, self.seed, self.folder = shape, seed, folder
        loaded = load_decoder(model, compute="bfloat16")
        assert loaded.template is not None and loaded.tokenizer is not None
        form = Form(
            template=loaded.template,
            tokenizer=loaded.tokenizer,
            n_vocab=loaded.n_vocab,
            max_length=512,
        )
        self.student = Student(loaded.decoder)
        self.adapters = adapt(loaded.decoder, "lora", RANK, 2.0 * RANK, seed)
        self.learned = trainable(self.adapters)
        self.optimiser = torch.optim.AdamW(
            self.learned.values(), lr=LR, weight_decay=0.0, foreach=False
        )
        pairs = clean_pairs(shape.langs)
        clean = [form.row(pair) for pair in pairs]
        news = [form.row(pair) for pair in news_pairs(pairs, seed)]
        self.pools, self.heldout = {}, []
        for kind, rows in (("clean", clean), ("news", news)):
            self.pools[kind], held = hold_out(rows, HELD_SHARE, seed)
            self.heldout += held
        self.replay = [form.row(pair) for pair in replay_pairs()]
        asked = quiz(dealt(shape.langs), form)
        self.alarm = Alarm(
            self.student,
            asked,
            self.heldout,
            folder,
            plan=Schedule(shape.looks, 0.0),
            bounds=Bounds(checks=shape.checks, signals=len(SIGNALS)),
            action="log",
            seed=seed,
            passes=Passes(asked),
        )
        self.seconds = {"steps": 0.0, "checks": 0.0}
        self.tokens = 0

    def begin(self) -> None:
        """Look at the untrained model."""
        self.alarm.begin()

    def step(self, number: int, kind: str) -> None:
        """Make step `number` on rows of a kind, and look where the schedule says so."""
        start = time.process_time()
        rows = self._rows(number, kind)
        loss = self.student.answer_losses(rows).mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.learned.values()), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = LR * min(1.0, number / WARMUP)
        self.optimiser.step()
        self.tokens += sum(len(row.ids) for row in rows)
        self.seconds["steps"] += time.process_time() - start
        if self.alarm.looks_at(number):
            self._look(number, float(loss.detach()))

    def _look(self, number: int, loss: float) -> None:
        line = StepLine(step=number, loss=loss, tokens=0, answer_tokens=0, grad_norm=None, lr=LR)
        start = time.process_time()
        self.alarm.after_step(line, ())
        self.seconds["checks"] += time.process_time() - start

    def save(self) -> None:
        """Leave what a news run begins from."""
        from safetensors.torch import save_file

        tensors = {name: p.detach().clone() for name, p in self.learned.items()}
        for name, parameter in self.learned.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                tensors[f"{name}.{moment}"] = self.optimiser.state[parameter][moment]
        save_file(tensors, self.folder / "snapshot.safetensors")
        write_json(self.folder / "snapshot.json", self.alarm.state())

    def load(self, folder: Path) -> None:
        """Go on from a snapshot."""
        from safetensors.torch import load_file

        tensors = load_file(folder / "snapshot.safetensors")
        with torch.no_grad():
            for name, parameter in self.learned.items():
                parameter.copy_(tensors[name])
                moments = {m: tensors[f"{name}.{m}"] for m in ("exp_avg", "exp_avg_sq")}
                done = torch.tensor(float(self.shape.onset))
                self.optimiser.state[parameter] = {"step": done, **moments}
        self.alarm.restore(read_json(folder / "snapshot.json"), {})

    def result(self) -> dict[str, Any]:
        """Return what the run found, for the report."""
        looks = self.alarm.looks
        rang = [look for look in looks if look.verdict == "ring"]
        return {
            "seed": self.seed,
            "looks": [look.step for look in looks],
            "ring": rang[0].step if rang else None,
            "why": rang[0].why if rang else "",
            "loss": [look.heldout_loss for look in looks],
            "worst": {s: min(look.signals[s].drift for look in looks) for s in SIGNALS},
            "falls": {s: [look.signals[s].by_family for look in looks[1:]] for s in SIGNALS},
            "seconds": self.seconds,
            "tokens": self.tokens,
            "languages": [family.lang for family in self.alarm.quiz.families],
            "worse": [look.step for look in looks if look.worse],
            "fell": [look.loss_fell for look in looks],
            "check_tokens": self.alarm.n_tokens,
        }

    def _rows(self, number: int, kind: str) -> list[Row]:
        generator = rng(self.seed, "rows", number)
        rows = []
        for _ in range(BATCH):
            again = kind == "clean" and generator.random() < REPLAY_SHARE
            pool = self.replay if again else self.pools[kind]
            rows.append(pool[int(generator.integers(len(pool)))])
        return rows


def clean_run(shape: Shape, seed: int, work: Path, model: Path) -> dict[str, Any]:
    """Make one clean run."""
    live = Live(shape, seed, work / f"clean-{seed}", model)
    live.begin()
    for number in range(1, shape.steps + 1):
        live.step(number, "clean")
        if number == shape.onset:
            live.save()
    return live.result()


def news_run(shape: Shape, seed: int, work: Path, model: Path) -> dict[str, Any]:
    """Go on from the clean run of the seed, on news, until a ring or the deadline."""
    live = Live(shape, seed, work / f"news-{seed}", model)
    live.load(work / f"clean-{seed}")
    for number in range(shape.onset + 1, shape.deadline + 1):
        live.step(number, "news")
        if live.alarm.looks[-1].verdict == "ring":
            break
    return live.result()


def stored(path: Path) -> Mapping[str, Any] | None:
    """Return the result of a run that is done, else None."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
