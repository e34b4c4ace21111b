"""One node of a study in its own process: reads its job on standard input, answers on output.

    python -m seemant.study.node < job.json

A process a node keeps its threads, its memory and a kill to itself.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from seemant.core.errors import SeemantError
from seemant.core.process import die_with_parent
from seemant.core.stage import Input, execute
from seemant.study.stages import stage_named


class Job(BaseModel):
    """What a node is to do."""

    model_config = ConfigDict(frozen=True)

    stage: str
    config: dict[str, Any]
    inputs: dict[str, tuple[str, str, str]]
    """Role -> path, label, sha256."""
    store: str
    force: bool = False


def run_job(job: Job) -> str:
    """Run a job and return the folder of its artefact."""
    stage = stage_named(job.stage)
    inputs = {
        role: Input(Path(path), label, digest) for role, (path, label, digest) in job.inputs.items()
    }
    config = stage.config.model_validate(job.config)
    done = execute(stage, config, inputs, store=Path(job.store), force=job.force)
    return str(done.path)


def main() -> int:
    """Answer one JSON line: the folder, or the error and its exit code."""
    die_with_parent()
    job = Job.model_validate_json(sys.stdin.read())
    answer: dict[str, Any]
    try:
        answer = {"path": run_job(job)}
    except SeemantError as error:
        answer = {
            "error": type(error).__name__,
            "what": error.what,
            "where": error.where,
            "fix": error.fix,
            "exit_code": error.exit_code,
        }
    except KeyboardInterrupt:
        answer = {"error": "KeyboardInterrupt", "what": "interrupted", "exit_code": 130}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return int(answer.get("exit_code", 0))


if __name__ == "__main__":
    sys.exit(main())
