"""`seemant doctor`: what this machine can do, a line each; it never fails."""

import json as jsonlib
from dataclasses import asdict

from seemant.cli.looks import looks


def doctor(*, json: bool = False, again: bool = False) -> None:
    """Say what is fine here, what is slow, what is missing, and how to mend it.

    Example: seemant doctor --json

    Parameters
    ----------
    again
        Time the products and measure the runtime's memory anew; once a machine otherwise.
    """
    if json:
        print(jsonlib.dumps([asdict(line) for line in looks(again=again)], indent=2))
        return
    for line in looks(again=again):
        print(f"{line.state:8}{line.name:28} {line.said}", flush=True)
        if line.do:
            print(f"{'':8}{'':28} -> {line.do}", flush=True)
