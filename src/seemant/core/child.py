"""A measurement in a process of its own, so that the asker imports nothing and cannot crash."""

import json
import subprocess
import sys
from typing import Any

from seemant.core.errors import WorldError
from seemant.core.process import child_environment

_TIMEOUT_S = 180.0


def ask_child(module: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS` and return the JSON object of its last line.

    Raises:
        WorldError: it failed, or took longer than three minutes.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env=child_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorldError(f"{module} took more than {_TIMEOUT_S:.0f} s", where=module) from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise WorldError(f"{module} ended with code {done.returncode}: {said}", where=module)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
