"""Running a study: each node in its own process, side by side as far as the cores reach."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from seemant.core.errors import InputError, SeemantError, WorldError
from seemant.core.lock import folder_lock
from seemant.core.machine import cores
from seemant.core.manifest import is_whole
from seemant.core.process import child_environment
from seemant.study.folder import link_node, publish_report, study_folder, write_state
from seemant.study.graph import needs, order, urgency
from seemant.study.lacks import lacks, refuse
from seemant.study.node import Job
from seemant.study.resume import artefact_folder, finished, node_inputs
from seemant.study.spec import Study

Say = Callable[[str], None]
_LOOK_EVERY_S = 0.05
_SILENCE_S = 25.0  # no half minute without a line
_LOG_TAIL_BYTES = 2048


@dataclass(slots=True)
class _Running:
    node: str
    artefact: Path
    process: subprocess.Popen[str]
    log: IO[str]
    log_path: Path
    log_from: int
    slots: int
    started: float


@dataclass(frozen=True, slots=True)
class StudyDone:
    """A finished study: the artefact of each node, how many had to be run, the report."""

    folder: Path
    artefacts: dict[str, Path]
    n_run: int
    report: Path | None


def run_study(
    study: Study, store: Path, *, say: Say, force: Collection[str] = (), slots: int | None = None
) -> StudyDone:
    """Run every node whose answer is not in the store, and return where all answers lie.

    Killed or interrupted at any moment, the same call goes on. `force` names nodes to run anew.

    Raises:
        InputError: the study lacks something (`lacks`): nothing was run.
        InputError, WorldError: a node failed; its own words, and where its log is.
        Locked: another process runs this study.
    """
    for name in force:
        if name not in study.nodes:
            raise InputError(f"no node {name!r} to force", fix=f"one of: {', '.join(study.nodes)}")
    if len(finished(study, store)) < len(study.nodes):
        refuse(lacks(study))
    folder = study_folder(store, study)
    with folder_lock(folder):
        return _run(study, store, folder, say, set(force), slots or cores())


def _run(
    study: Study, store: Path, folder: Path, say: Say, force: set[str], slots: int
) -> StudyDone:
    waiting, running = order(study), list[_Running]()
    ready, artefacts, urgent = dict[str, tuple[Job, Path]](), dict[str, Path](), urgency(study)
    n_run, last = 0, time.monotonic()

    def tell(text: str) -> None:
        nonlocal last
        last = time.monotonic()
        say(text)

    def done(name: str, path: Path, how: str) -> None:
        artefacts[name] = path
        link_node(folder, name, path)
        tell(f"{name}: {how}")

    try:
        while waiting or ready or running:
            for name in [n for n in waiting if all(m in artefacts for m in needs(study, n))]:
                waiting.remove(name)
                ready[name] = _ask(study, name, artefacts, store, name in force)
            for name in sorted(ready, key=lambda each: -urgent[each]):
                job, artefact = ready[name]
                if any(each.artefact == artefact for each in running):
                    continue  # another node asks the same question: its answer will do
                if is_whole(artefact) and not job.force:
                    del ready[name]
                    done(name, artefact, "already there")
                    continue
                # An exclusive node takes all slots, so it waits for an idle machine.
                node = study.nodes[name]
                want = slots if node.exclusive else min(node.slots, slots)
                if sum(each.slots for each in running) + want <= slots:
                    del ready[name]
                    running.append(_start(name, job, artefact, folder, want))
                    tell(f"{name}: started ({len(artefacts)}/{len(study.nodes)} done)")
            for ended in [each for each in running if each.process.poll() is not None]:
                running.remove(ended)
                path = _finish(ended)
                n_run += 1
                done(ended.node, path, f"done in {time.monotonic() - ended.started:.0f} s")
            if running and time.monotonic() - last >= _SILENCE_S:
                tell("; ".join(_doing(each, study) for each in running))
            time.sleep(_LOOK_EVERY_S if running else 0.0)
    finally:
        for left in running:
            _stop(left)
    write_state(folder, study, {name: artefacts[name] for name in study.nodes})
    reports = [name for name in study.nodes if study.nodes[name].stage == "report"]
    report = publish_report(folder, artefacts[reports[-1]]) if reports else None
    return StudyDone(folder, artefacts, n_run, report)


def _ask(
    study: Study, name: str, artefacts: dict[str, Path], store: Path, force: bool
) -> tuple[Job, Path]:
    """Return a node's job and the folder in which its answer lies or will lie."""
    node = study.nodes[name]
    inputs = node_inputs(node, artefacts, study)
    job = Job(
        stage=node.stage,
        config=node.config.given(),
        inputs={role: (str(i.path), i.label, i.sha256) for role, i in inputs.items()},
        store=str(store),
        force=force,
    )
    return job, artefact_folder(node, inputs, store)


def _start(name: str, job: Job, artefact: Path, folder: Path, slots: int) -> _Running:
    log_path = folder / "logs" / f"{name}.log"
    log = log_path.open("a", encoding="utf-8")
    log_from = log.tell()  # before it stand earlier runs
    process = subprocess.Popen(
        [sys.executable, "-m", "seemant.study.node"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=child_environment(slots),
        process_group=0,  # Ctrl-C reaches us alone; we stop the nodes
    )
    assert process.stdin is not None
    process.stdin.write(job.model_dump_json())
    process.stdin.close()
    return _Running(name, artefact, process, log, log_path, log_from, slots, time.monotonic())


def _doing(job: _Running, study: Study) -> str:
    """Return what a node is doing: for how long, of how long, and the last line of its log."""
    seconds = time.monotonic() - job.started
    expected = study.nodes[job.node].expect.seconds
    of = f" of about {expected:.0f}" if expected else ""
    log = job.log_path.read_bytes()[job.log_from :][-_LOG_TAIL_BYTES:]
    said = log.decode("utf-8", "replace").split("\n")
    lines = [line.strip() for line in said if line.strip()]
    return f"{job.node}: at work, {seconds:.0f} s{of}" + (f" ({lines[-1][:120]})" if lines else "")


def _finish(job: _Running) -> Path:
    assert job.process.stdout is not None
    answer_text = job.process.stdout.read()
    job.log.close()
    try:
        answer = json.loads(answer_text.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = job.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
        raise WorldError(
            f"node {job.node!r} died (exit {job.process.returncode}) {' '.join(last)}".rstrip(),
            where=str(job.log_path),
            fix="read its log; the same command goes on from what is kept",
        ) from error
    if "path" in answer:
        return Path(answer["path"])
    kind = InputError if answer["exit_code"] == 2 else WorldError
    failure: SeemantError = kind(
        f"node {job.node!r}: {answer['what']}", where=answer.get("where"), fix=answer.get("fix")
    )
    if answer["exit_code"] == 130:
        raise KeyboardInterrupt
    raise failure


def _stop(job: _Running) -> None:
    job.process.terminate()
    try:
        job.process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        job.process.kill()
        job.process.wait()
    job.log.close()
