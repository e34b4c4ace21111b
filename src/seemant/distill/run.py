"""The distill stage: paragraphs and a teacher in, checked instruction pairs out."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seemant.core.atomic import write_atomic
from seemant.core.errors import BadConfig, BadRecord
from seemant.core.hashing import canonical_json
from seemant.core.journal import Journal
from seemant.core.jsonl import read_records, write_json, write_records
from seemant.core.machine import cores
from seemant.core.measurement import Measurement
from seemant.core.progress import progress
from seemant.core.records import Paragraph
from seemant.core.refs import parse_ref
from seemant.core.runlog import log_event
from seemant.core.stage import Input, Inputs, Stage
from seemant.distill.collect import canonical, collect, samples
from seemant.distill.config import DistillConfig
from seemant.distill.loop import Entry, Item, generate
from seemant.distill.plan import first_attempts, slots_of, task_of
from seemant.distill.tasks import Asker, Form
from seemant.distill.teachers import ServerTeacher
from seemant.distill.verdict import journal_entry
from seemant.distill.worker_process import WorkerProcess
from seemant.distill.yields import drops, speed, yields
from seemant.models.backends.protocol import SEATS

PARAGRAPHS_NAME = "distil.jsonl"
_NEEDS = (
    "each line is one JSON object with id, lang, text; of any other text make paragraphs first: "
    "seemant corpus sample FILE"
)
_SERVER_WORKERS = 4  # requests at once: servers batch them
_MOST_PROCESSES = 2  # each maps the same file, but has its own cache and logits


def run(config: DistillConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with pairs.jsonl, dropped.jsonl, journal.jsonl and samples.json."""
    form: Form = "json" if _is_server(config) else "completion"
    model = _model(config, inputs)
    server = _server(config) if model is None else None  # its address and key, before any work
    slots = slots_of(_paragraphs(inputs["paragraphs"].path, out), config)
    if not slots:
        raise BadRecord(
            f"no paragraph in {', '.join(config.languages)}",
            where=inputs["paragraphs"].label,
            fix="name other --languages or another corpus",
        )
    subject = config.subject or _name(config, model)

    def ask(asker: Asker, items: Sequence[Item]) -> list[Entry]:
        tasks = [task_of(slot, attempt, form, config) for slot, attempt in items]
        return [
            journal_entry(task, reply, form)
            for task, reply in zip(tasks, asker.ask(tasks), strict=True)
        ]

    with Journal(out / "journal.jsonl") as journal:
        resumed = bool(journal.entries)
        todo = first_attempts(slots, journal.entries, config)
        log_event(out, "distill", slots=len(slots), open=len(todo), replies=len(journal.entries))
        began = time.perf_counter()
        n_replies, n_askers = 0, 0
        if todo:
            askers = _askers(config, model, server, len(todo))
            n_askers = len(askers)
            with progress("distill", len(todo), "pairs") as tick:
                n_replies = generate(
                    todo,
                    askers,
                    ask,
                    journal,
                    attempts=config.attempts,
                    give_up_after=config.give_up_after if form == "json" else None,
                    tick=tick,
                )
        seconds = time.perf_counter() - began
        entries = canonical(slots, journal.entries)
    write_atomic(out / "journal.jsonl", "".join(canonical_json(e) + "\n" for e in entries))
    kept, dropped = collect(slots, entries, teacher=subject, keep_input=config.keep_input)
    write_records(out / "pairs.jsonl", kept)
    write_records(out / "dropped.jsonl", dropped)
    write_json(out / "samples.json", samples(slots, kept, dropped, config.seed))
    return [
        *yields(subject, kept, dropped),
        *drops(subject, dropped),
        *speed(subject, seconds, n_replies, n_askers, len(kept) if not resumed else None),
    ]


STAGE = Stage(
    name="distill",
    version=4,
    config=DistillConfig,
    run=run,
    roles={"paragraphs": "paragraphs", "teacher": "model?"},
    data=("distill/data/*.json",),
)


def _paragraphs(path: Path, out: Path) -> list[Paragraph]:
    """Read a corpus artefact's part for distillation, or a file; bad lines are set aside."""
    file = path / PARAGRAPHS_NAME if path.is_dir() else path
    return read_records(file, Paragraph, rejected=out / "rejected.jsonl", needs=_NEEDS)


def _is_server(config: DistillConfig) -> bool:
    return parse_ref(config.teacher).scheme == "openai"


def _model(config: DistillConfig, inputs: Inputs) -> Input | None:
    model = inputs.get("teacher")
    if _is_server(config):
        if model is not None:
            raise BadConfig(
                f"two teachers: the server {config.teacher} and the model {model.label}",
                fix="leave the input 'teacher' out, or name the model as the teacher",
            )
        return None
    if model is None:
        raise BadConfig(
            f"the teacher {config.teacher} is a model file, and none was given",
            where="the input 'teacher'",
            fix="give the model as the input 'teacher', or name a server: openai:URL#MODEL",
        )
    return model


def _name(config: DistillConfig, model: Input | None) -> str:
    if model is None:
        return parse_ref(config.teacher).name.rpartition("#")[2]
    from seemant.probe.subject import subject_of

    return subject_of(model, None)


def _server(config: DistillConfig) -> ServerTeacher:
    from seemant.models.backends.openai_backend import OpenAI

    named = OpenAI.from_address(config.teacher)
    return ServerTeacher(replace(named, timeout_s=config.timeout_s, retries=config.retries))


def _askers(
    config: DistillConfig, model: Input | None, server: ServerTeacher | None, n_open: int
) -> Sequence[Asker]:
    if server is not None:
        n = config.workers or _SERVER_WORKERS
        return [server] * min(n, n_open)
    assert model is not None  # one of both is there
    n = config.workers or min(_MOST_PROCESSES, cores())
    return [
        WorkerProcess(model.path, threads=config.threads, context=config.context, at_once=SEATS)
        for _ in range(min(n, n_open))
    ]
