"""Inputs as people bring them, by the command line as a user would: value = failures, bar 0.

    python benchmarks/field.py [--only KIND] [--number N]

Every input of `$SEEMANT_DATA/field` with what is right, and each kind in further forms of our own.
A case that raises counts as a failure. The last line is one JSON object.
"""

import argparse
import importlib
import pkgutil
import shutil
import sys
import tempfile
import time
from pathlib import Path

import field_cases
from claim import machine, say_claim
from field_cases.place import Case, Place

from seemant.core.paths import data_dir


def main() -> int:
    """Run the cases; returns 0 when none fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one kind: a file of field_cases/")
    parser.add_argument("--number", help="one input, by its number in the shared README")
    asked = parser.parse_args()
    if (data := data_dir()) is None:
        print("no data folder: set SEEMANT_DATA", file=sys.stderr)
        return 1
    print(machine())
    failures, n = 0, 0
    for kind, case in cases(asked.only):
        if asked.number not in (None, case.number):
            continue
        start = time.monotonic()
        seen = seen_of(case, data / "field")
        n += 1
        failures += seen is not None
        verdict = "right" if seen is None else f"WRONG: {seen}"
        print(
            f"{kind} {case.number} {case.form}: {verdict} ({time.monotonic() - start:.0f} s)",
            flush=True,
        )
    say_claim(name="field", value=failures, bar=0, holds=failures == 0 and n > 0, n=n)
    return int(failures > 0 or n == 0)


def cases(only: str | None) -> list[tuple[str, Case]]:
    """Return every case with its kind, in the order of the files' names."""
    names = [module.name for module in pkgutil.iter_modules(field_cases.__path__)]
    kinds = [name for name in names if name != "place" and only in (None, name)]
    return [
        (kind, case)
        for kind in kinds
        for case in getattr(importlib.import_module(f"field_cases.{kind}"), "CASES", ())
    ]


def seen_of(case: Case, field: Path) -> str | None:
    """Run one case on its own copy of the inputs."""
    with tempfile.TemporaryDirectory(prefix="seemant-field-") as folder:
        inputs = Path(folder) / "field"
        shutil.copytree(field, inputs)
        (inputs / "w").mkdir(exist_ok=True)
        try:
            return case.check(Place(inputs, inputs / "w"))
        except Exception as fault:  # a case that can't be run is no pass
            return f"{type(fault).__name__}: {fault}"


if __name__ == "__main__":
    raise SystemExit(main())
