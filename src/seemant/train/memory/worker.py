"""The child that trains inside a memory limit.

    python -m seemant.train.memory.worker OUT        # OUT/.worker/job.json says what to do

It says "ready" before it takes memory and waits for a line, so that its parent can put it under
the limit; sets the allocator's threshold before any library allocates; and leaves
`.worker/measurements.json`, or `.worker/error.json` and one of the codes below. SIGTERM asks for a
clean stop: the step is finished and a checkpoint written.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seemant.core.errors import InputError, SeemantError
from seemant.core.jsonl import read_json, write_json
from seemant.core.memory import peak_bytes
from seemant.core.os_errors import from_os_error
from seemant.core.process import die_with_parent
from seemant.models.decoder.kernel_cache import bound_caches
from seemant.train.memory.terms import KERNELS

FOLDER, JOB, MEASUREMENTS, ERROR = ".worker", "job.json", "measurements.json", "error.json"
FAILED, OUT_OF_MEMORY, STOPPED = 3, 86, 75

MMAP_THRESHOLD = 128 * 1024  # bytes; larger blocks go back to the system as soon as they are freed
_M_MMAP_THRESHOLD = -3  # malloc.h of glibc
# What torch's allocator, C++ and the kernel say when there is no more.
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "out of memory")


def main(folder: Path) -> int:
    """Do the job of a folder and return the exit code."""
    die_with_parent()
    job = read_json(folder / JOB)
    asked_to_stop = _stop_on_sigterm()
    if job["malloc"] == "mmap threshold":
        fix_allocator(MMAP_THRESHOLD)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    try:
        measurements = _do(job, folder.parent, asked_to_stop)
    except MemoryError:
        return _fail(folder, OUT_OF_MEMORY, "the system refused more memory")
    except SeemantError as error:
        code = STOPPED if asked_to_stop() else FAILED
        return _fail(folder, code, error.what, error)
    except OSError as error:
        ours = from_os_error(error)
        return _fail(folder, FAILED, ours.what, ours)
    except RuntimeError as error:
        if not any(words in str(error) for words in _NO_MEMORY):
            raise
        return _fail(folder, OUT_OF_MEMORY, str(error).splitlines()[0])
    write_json(folder / MEASUREMENTS, {"measurements": measurements, "peak_rss": peak_bytes()})
    return 0


def fix_allocator(threshold: int) -> bool:
    """Make glibc give every block above `threshold` bytes back at once; False elsewhere.

    By a call, not by MALLOC_MMAP_THRESHOLD_: that is read when a process starts. It also ends the
    threshold's own growth, which is what keeps temporaries in the heap.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return bool(mallopt(_M_MMAP_THRESHOLD, threshold))


def _do(job: dict[str, Any], out: Path, stop: Callable[[], bool]) -> list[dict[str, Any]]:
    """Do the stage's work; only that stage's code is imported."""
    from seemant.core.stage import Input
    from seemant.train.no_compiler import leave_compiler_out, needs_compiler

    inputs = {
        role: Input(Path(said["path"]), said["label"], said["sha256"])
        for role, said in job["inputs"].items()
    }
    if job["stage"] == "pretrain":
        from seemant.train.pretrain.config import PretrainConfig
        from seemant.train.pretrain.session import pretrain_session

        leave_compiler_out()
        settings = PretrainConfig.model_validate(job["config"])
        found = pretrain_session(settings, inputs, out, stop=stop)
    else:
        from seemant.train.config import TrainConfig
        from seemant.train.session import train_session

        bound_caches(KERNELS)
        config, use = (TrainConfig.model_validate(job[key]) for key in ("config", "use"))
        if not needs_compiler(use.base, use.optimiser):
            leave_compiler_out()
        found = train_session(config, inputs, out, use=use, stop=stop)
    return [each.model_dump(mode="json") for each in found]


def _stop_on_sigterm() -> Callable[[], bool]:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    return lambda: bool(asked)


def _fail(folder: Path, code: int, what: str, error: SeemantError | None = None) -> int:
    write_json(
        folder / ERROR,
        {
            "what": what,
            "where": error.where if error else None,
            "fix": error.fix if error else None,
            "input": isinstance(error, InputError),
            "peak_rss": peak_bytes(),
        },
    )
    return code


if __name__ == "__main__":
    code = main(Path(sys.argv[1]) / FOLDER)
    sys.stdout.flush()
    os._exit(code)  # what is written is written; libraries' threads need no farewell
