"""One try of a run inside its limit: a child process, what it took, and how it ended."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from seemant.core.errors import InputError, SeemantError, WorldError
from seemant.core.jsonl import read_json, write_json
from seemant.core.measurement import Measurement
from seemant.core.process import child_environment
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs
from seemant.train.config import TrainConfig
from seemant.train.memory.cgroup import Account
from seemant.train.memory.limit import WAYS, Way, limit_of
from seemant.train.memory.plan import Malloc
from seemant.train.memory.watcher import Watcher
from seemant.train.memory.worker import (
    ERROR,
    FAILED,
    FOLDER,
    JOB,
    MEASUREMENTS,
    OUT_OF_MEMORY,
    STOPPED,
)
from seemant.train.pretrain.config import PretrainConfig

Settings = TrainConfig | PretrainConfig
COMMAND = (sys.executable, "-m", "seemant.train.memory.worker")

Ending = Literal["done", "out of memory", "stopped for memory"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a try ended.

    peak_rss, peak_anon: bytes seen from outside every 50 ms; own_peak: the kernel's own mark,
    which only a child that ended by itself can tell. account: what the limit counted.
    """

    ending: Ending
    how: Way
    enforced: bool
    peak_rss: int
    peak_anon: int
    own_peak: int | None
    account: Account | None
    said: str
    measurements: list[dict[str, Any]]


def attempt(
    config: Settings,
    use: Settings,
    inputs: Inputs,
    out: Path,
    *,
    limit_bytes: float,
    malloc: Malloc,
    ways: tuple[Way, ...] = WAYS,
    command: Sequence[str] = COMMAND,
) -> Attempt:
    """Train in a child under the limit and return how it ended.

    use: the settings that a plan made of `config`; where nothing was planned, `config` itself.

    Raises:
        InputError, WorldError: what the training raised, or a child that died of something else
            than its limit.
    """
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(
        folder / JOB,
        {
            "stage": "pretrain" if isinstance(config, PretrainConfig) else "train",
            "config": config.given(),
            "use": use.given(),
            "inputs": {
                role: {"path": str(each.path), "label": each.label, "sha256": each.sha256}
                for role, each in inputs.items()
            },
            "malloc": malloc,
        },
    )
    with limit_of(limit_bytes, ways) as limit:
        process = subprocess.Popen(
            limit.command([*command, str(out)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(config.threads or _cores()),
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()  # "ready", or nothing where it died at once
            if process.poll() is None:
                limit.hold(process.pid)
            watcher = Watcher(process.pid, limit.watched_bytes, also=limit.look)
            try:
                process.stdin.write(b"go\n")
                process.stdin.flush()
            except OSError:
                pass  # it died at once: its code says why
            code = process.wait()
            watcher.close()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
            with suppress(OSError):  # what was still to be said has no reader any more
                process.stdin.close()
        account = limit.account()
    ending = _ending(code, limit.how, account, watcher, limit_bytes)
    if ending is None:
        raise _error(folder, code)
    told = _told(folder, ending)
    return Attempt(
        ending=ending,
        how=limit.how,
        enforced=limit.enforced,
        peak_rss=watcher.peak_rss,
        peak_anon=watcher.peak_anon,
        own_peak=told.get("peak_rss"),
        account=account,
        said=told.get("what") or "",
        measurements=told.get("measurements") or [],
    )


def log_attempt(out: Path, tried: Attempt) -> None:
    """Write how a try ended, and what it took, into the run's log."""
    account = asdict(tried.account) if tried.account else {}
    log_event(
        out,
        "limit",
        how=tried.how,
        enforced=tried.enforced,
        ending=tried.ending,
        peak_rss=tried.own_peak or tried.peak_rss,
        peak_anon=tried.peak_anon,
        **{f"charged_{key}": value for key, value in account.items()},
    )


def measured_by(tried: Attempt) -> list[Measurement]:
    """Return the child's measurements, its peak with how it was held."""
    held: dict[str, Any] = {"limit_how": tried.how, "limit_enforced": tried.enforced}
    if tried.account is not None:
        held |= {
            "limit_peak": tried.account.peak_bytes,
            "limit_failed_charges": tried.account.failed_charges,
        }
    found = []
    for each in tried.measurements:
        m = Measurement.model_validate(each)
        if m.metric == "peak_rss" and m.origin == "measured":
            m = m.model_copy(update={"conditions": {**m.conditions, **held}})
        found.append(m)
    return found


def _ending(
    code: int, how: Way, account: Account | None, watcher: Watcher, limit_bytes: float
) -> Ending | None:
    """Return how a child ended; None for an end that its limit has nothing to do with."""
    if code == 0:
        return "done"
    if code == OUT_OF_MEMORY:
        return "out of memory"
    if code == STOPPED:
        return "stopped for memory" if watcher.asked else None
    if how == "rlimit data" and code in (-signal.SIGABRT, 128 + signal.SIGABRT):
        return "out of memory"  # Rust and C++ abort where an allocation is refused
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        if watcher.killed or (account is not None and account.oom_kills):
            return "out of memory"
        # A scope of systemd's is gone before its last account can be read.
        seen = max(watcher.peak_rss, (account.peak_bytes or 0) if account else 0)
        return "out of memory" if seen > 0.95 * limit_bytes else None
    return None


def _told(folder: Path, ending: Ending) -> dict[str, Any]:
    path = folder / (MEASUREMENTS if ending == "done" else ERROR)
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def _error(folder: Path, code: int) -> SeemantError:
    if code in (FAILED, STOPPED) and (folder / ERROR).is_file():
        said = read_json(folder / ERROR)
        kind: type[SeemantError] = InputError if said["input"] else WorldError
        return kind(said["what"], where=said["where"], fix=said["fix"])
    how = f"signal {-code}" if code < 0 else f"code {code}"
    return WorldError(
        f"the training process ended by {how}, not by its memory limit",
        where=str(folder.parent),
        fix="its words stand above; the same command goes on from the last checkpoint",
    )


def _cores() -> int:
    from seemant.core.machine import cores

    return cores()
