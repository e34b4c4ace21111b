"""The stage `bench`: every model in turn, again and again, each run in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from seemant.bench.config import BenchConfig
from seemant.bench.subjects import ADAPTER_ROLE, ROLE, Subject, subjects_of
from seemant.bench.summary import Conditions, measurements_of
from seemant.core.errors import BadConfig, InputError, WorldError
from seemant.core.journal import Journal
from seemant.core.machine import cores, hardware, load_average, packages
from seemant.core.measurement import Measurement
from seemant.core.process import child_environment
from seemant.core.progress import progress
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs, Stage

_JOURNAL = ".runs.jsonl"  # hidden: times are no content of the artefact


def run(config: BenchConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Measure; a resumed call keeps the runs that were finished.

    Raises:
        BadConfig: the tokens do not fit the context.
        InputError: nothing to measure, or a file that llama.cpp cannot open.
        WorldError: llama.cpp is not usable, or a run died or took too long.
    """
    if config.prefill_tokens + config.decode_tokens > config.context:
        raise BadConfig(
            f"{config.prefill_tokens} tokens of prompt and {config.decode_tokens} of answer do not "
            f"fit a context of {config.context}",
            fix="raise context, or lower prefill_tokens or decode_tokens",
        )
    subjects, skipped = subjects_of(inputs)
    for name in skipped:
        log_event(out, "warning", text=f"{name}: no file that llama.cpp reads; not measured")
    _warn_of_load(config, out)
    plan = [(n, subject) for n in range(config.repeats) for subject in subjects]
    samples: dict[str, list[dict[str, Any]]] = {subject.name: [] for subject in subjects}
    with Journal(out / _JOURNAL) as journal, progress("bench", len(plan), "runs") as tick:
        done = {(entry["n"], entry["subject"]): entry for entry in journal.entries}
        for n, subject in plan:
            sample = done.get((n, subject.name))
            if sample is None:
                load = load_average()
                sample = {"n": n, "subject": subject.name, "load_average": load}
                sample |= _one(config, subject)
                journal.append(sample)
                log_event(out, "sample", **sample)
            samples[subject.name].append(sample)
            tick(1, subject.name)
    return measurements_of(subjects, samples, _conditions(config), config.context)


def _one(config: BenchConfig, subject: Subject) -> dict[str, Any]:
    job = {
        "model": str(subject.model),
        "adapter": str(subject.adapter) if subject.adapter else None,
        "threads": config.threads,
        "context": config.context,
        "prefill_tokens": config.prefill_tokens,
        "decode_tokens": config.decode_tokens,
    }
    command = [sys.executable, "-m", "seemant.bench.worker", json.dumps(job)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=config.timeout_s,
            env=child_environment(config.threads),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorldError(
            f"{subject.name}: one run took more than {config.timeout_s:g} s",
            where=str(subject.model),
            fix="run it again on an idle machine, or with a longer timeout_s",
        ) from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise WorldError(
            f"{subject.name}: the measuring process died: {last[0]}",
            where=str(subject.model),
            fix="check that there is enough free memory, then run it again",
        )
    result: dict[str, Any] = json.loads(lines[-1])
    if told := result.get("error"):
        kind = InputError if result["exit_code"] == 2 else WorldError
        raise kind(told["what"], where=told["where"], fix=told["fix"])
    return result


def _warn_of_load(config: BenchConfig, out: Path) -> None:
    load, idle = load_average(), cores() - load_average()
    if idle < config.threads - 0.25:
        text = (
            f"the load average is {load:.1f} on {cores()} cores: "
            f"{config.threads} thread(s) will not run undisturbed"
        )
        log_event(out, "warning", text=text, load_average=load)


def _conditions(config: BenchConfig) -> Conditions:
    return {
        "backend": "llamacpp",
        "runtime": f"xllamacpp {packages().get('xllamacpp', 'unknown')}",
        "threads": config.threads,
        "prefill_tokens": config.prefill_tokens,
        "decode_tokens": config.decode_tokens,
        "context": config.context,
        "cpu": str(hardware()["cpu"]),
        "cpu_flags": " ".join(hardware()["flags"]),
    }


STAGE = Stage(
    name="bench",
    version=1,
    config=BenchConfig,
    run=run,
    roles={f"{ROLE}*": "model", f"{ADAPTER_ROLE}*": "adapter?"},
    hardware_bound=True,
)
