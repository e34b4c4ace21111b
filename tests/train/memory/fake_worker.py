"""The worker with a stand-in for training: it takes what it is told to take, and no torch."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from seemant.core.errors import InputError, WorldError
from seemant.core.measurement import Measurement, exact
from seemant.core.runlog import log_event
from seemant.train.config import TrainConfig
from seemant.train.memory import worker


def train_session(
    config: TrainConfig,
    inputs: Mapping[str, Any],
    out: Path,
    *,
    use: TrainConfig,
    stop: Callable[[], bool],
) -> list[Measurement]:
    """Do as `plan.json` beside the pairs says: megabytes to take, by what `use` has chosen."""
    said = json.loads(inputs["pairs"].path.read_text())
    log_event(out, "checked", rows=1)
    done = out / "steps"
    first = int(done.read_text()) if done.exists() else 0  # a checkpoint of a kind
    if said.get("refuse"):
        raise InputError("no pair is left", where="pairs", fix="give pairs")
    if said.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    mb = said["mb_again"] if use.checkpointing else said["mb_kept"]
    for step in range(first, 3):
        held = [bytearray(b"x") * 1_000_000 for _ in range(mb if step == 1 else 1)]
        if said.get("slowly"):
            for _ in range(mb):
                held.append(bytearray(b"x") * 1_000_000)
                time.sleep(0.005)
                if stop():
                    done.write_text(str(step + 1))
                    raise WorldError("stopped cleanly")
        done.write_text(str(step + 1))
        log_event(
            out, "step", step=step + 1, micro_tokens=16, micro_answers=8, peak_rss=len(held) * 10**6
        )
    return [
        exact("fake", "steps_here", 3 - first, "count"),
        Measurement(
            subject="fake",
            metric="peak_rss",
            value=1e6 * mb,
            unit="bytes",
            ci_method="none: one run",
            n=1,
        ),
    ]


if __name__ == "__main__":
    module = ModuleType("seemant.train.session")
    module.train_session = train_session  # type: ignore[attr-defined]
    sys.modules["seemant.train.session"] = module
    code = worker.main(Path(sys.argv[1]) / worker.FOLDER)
    sys.stdout.flush()
    os._exit(code)
