"""How fast this machine is: a fixed piece of work, timed once for about ten seconds, then kept.

    python -m seemant.study.pace        (one measurement, in a process of its own)

Two kinds of work, as a study's nodes have: torch's float32 products with exponentials beside them,
and llama.cpp reading and writing with the embedded Gemma. As many processes measure side by side
as nodes would run, of one thread each: cores that share their arithmetic units or their memory show
it. Seconds are of the processor, not of the clock, so other people's work disturbs little.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveFloat

from seemant.core.atomic import write_atomic
from seemant.core.errors import BadFile, SeemantError, WorldError
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json
from seemant.core.machine import cores, hardware, packages
from seemant.core.paths import cache_dir
from seemant.core.process import child_environment, die_with_parent

MODEL = "gemma-3-270m"
ENGINE_SHARE = {"probe": 1.0, "distill": 1.0, "bench": 1.0, "divergence": 0.35}
"""Of a stage's time, the share that llama.cpp computes; 0 for all others."""
_VERSION = 2  # of the work: seconds of another one say nothing
_REPEATS = 3  # of which the fastest counts
_SIDE_BY_SIDE = 2
_TIMEOUT_S = 180.0


class Pace(BaseModel):
    """Seconds of processor time that the fixed work took; engine: None without the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    torch: PositiveFloat
    engine: PositiveFloat | None = None

    def against(self, other: "Pace", engine_share: float) -> float:
        """Return how many times as long work takes here as on the other machine.

        engine_share: of the work, what llama.cpp does. Without its figure torch's stands for it.
        """
        ratios = self.ratios(other)
        return engine_share * ratios["engine"] + (1 - engine_share) * ratios["torch"]

    def ratios(self, other: "Pace") -> dict[str, float]:
        """Return how many times as long each kind of work takes here as on the other machine."""
        by_torch = self.torch / other.torch
        if self.engine is None or other.engine is None:
            return {"torch": by_torch, "engine": by_torch}
        return {"torch": by_torch, "engine": self.engine / other.engine}


def pace_here(*, say: Callable[[str], None]) -> Pace:
    """Return this machine's pace, measured where the cache does not hold it; `say` tells so.

    Raises:
        WorldError: the measurement failed.
    """
    place = place_here()
    try:
        return Pace(**read_json(place))
    except (OSError, SeemantError, TypeError, ValueError):
        say("measuring this machine's pace, once, about ten seconds")
        pace = measured()
    with suppress(OSError, SeemantError):  # no cache to write in: it is measured again next time
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, pace.model_dump_json() + "\n")
    return pace


def place_here() -> Path:
    """Return where the pace of this machine, with these libraries and settings, is kept."""
    held = {key: value for key, value in child_environment().items() if key in _ISA}
    versions = {name: packages().get(name) for name in ("torch", "numpy", "xllamacpp")}
    facts = hardware()
    made_by = [_VERSION, facts["cpu"], facts["flags"], facts["cores"], versions, held]
    made_by.append(_model() is not None)
    return cache_dir() / "pace" / f"{json_sha256(made_by)[:16]}.json"


_ISA = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")


def measured() -> Pace:
    """Return this machine's pace, measured now by processes side by side: their mean.

    Raises:
        WorldError: one of them failed or hung.
    """
    command = [sys.executable, "-m", "seemant.study.pace"]
    started = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(),
        )
        for _ in range(min(_SIDE_BY_SIDE, cores()))
    ]
    found = []
    try:
        for process in started:
            said, errors = process.communicate(timeout=_TIMEOUT_S)
            if process.returncode != 0:
                last = errors.strip().splitlines()[-1:] or [f"exit {process.returncode}"]
                raise WorldError(f"this machine's pace could not be measured: {last[0]}")
            found.append(Pace(**json.loads(said.splitlines()[-1])))
    except subprocess.TimeoutExpired as error:
        raise WorldError(f"measuring this machine took over {_TIMEOUT_S:.0f} s") from error
    finally:
        for process in started:
            process.kill()
            process.wait()
    engines = [pace.engine for pace in found if pace.engine is not None]
    return Pace(
        torch=sum(pace.torch for pace in found) / len(found),
        engine=sum(engines) / len(engines) if len(engines) == len(found) else None,
    )


def main() -> None:
    """Measure once and print the pace as JSON."""
    die_with_parent()
    model = _model()
    engine = _engine_seconds(model) if model else None
    sys.stdout.write(json.dumps({"torch": _torch_seconds(), "engine": engine}) + "\n")


def _torch_seconds() -> float:
    import torch

    from seemant.models.frozen.gemm import product

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    body = torch.randn(256, 640, generator=generator)
    wide, head = (torch.randn(n, 640, generator=generator) for n in (2048, 8192))

    def work() -> None:
        for _ in range(24):
            product(product(body, wide), wide.T.contiguous())
            product(body, head).sub_(4.0).exp_().sum(1)

    with torch.inference_mode():
        work()  # warm
        return min(_seconds(work) for _ in range(_REPEATS))


def _engine_seconds(model: Path) -> float | None:
    from seemant.models.backends.llama_c import NoLlamaCpp
    from seemant.models.backends.llamacpp import LlamaCpp

    try:
        backend = LlamaCpp(model, threads=1, context=256)
    except NoLlamaCpp:
        return None
    with backend:

        def work(start: int) -> None:
            """Read 128 tokens, another text each time, and write 32."""
            logits, advance = backend.begin([2, *range(start, start + 127)])
            for _ in range(32):
                logits = advance(int(logits.argmax()))

        work(900)  # every weight is touched
        return min(_seconds(partial(work, 1000 + 200 * n)) for n in range(_REPEATS))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _model() -> Path | None:
    from seemant.models.resolve import resolve

    try:
        return resolve(f"embedded:{MODEL}").path
    except (BadFile, SeemantError):
        return None


if __name__ == "__main__":
    main()
