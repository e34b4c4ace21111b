"""What every claim script shares: the machine's line, and the JSON object that ends it.

Long ones keep the rows that are finished (`finished`), so that a killed `--full` run goes on.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import seemant
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json, write_json
from seemant.core.machine import hardware, load_average, packages


def machine() -> str:
    """Return the line that stands above every figure: CPU, flags, cores, load, versions."""
    facts = hardware()
    versions = " ".join(f"{name} {version}" for name, version in packages().items())
    return (
        f"{facts['cpu']} ({' '.join(facts['flags'])}), {facts['cores']} cores, "
        f"{facts['memory_gb']} GB, load {load_average():.2f}; {versions}"
    )


def finished(
    name: str,
    part: str,
    asked: Mapping[str, Any],
    make: Callable[[], list[dict[str, Any]]],
    *,
    keep: bool,
) -> list[dict[str, Any]]:
    """Return a part's rows, kept in `.work/NAME/PART.json` with `keep`; else always made anew.

    Kept rows count only for the same settings (`asked`), processor and source code: a row of
    other code is no evidence for this one.
    """
    path = Path(__file__).parent / ".work" / name / f"{part}.json"
    made_by = {**asked, "cpu": hardware()["cpu"], "code": _code_sha256()}
    if keep and path.is_file() and (kept := read_json(path))["made_by"] == made_by:
        rows: list[dict[str, Any]] = kept["rows"]
        return rows
    rows = make()
    if keep:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"made_by": made_by, "rows": rows})
    return rows


def _code_sha256() -> str:
    """Return a hash of what is measured, the loop and the models, and of what measures it."""
    room = Path(seemant.__file__).parent
    folders = (room / "core", room / "models", room / "train", Path(__file__).parent / "peers")
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return json_sha256([path.read_text(encoding="utf-8") for path in files])


def say_claim(
    *,
    name: str,
    value: float,
    bar: float,
    holds: bool,
    n: int,
    peer: str | None = None,
    ratio: float | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> None:
    """Print the last line of a claim script; a value that was not measured is null."""
    seen = value if math.isfinite(value) else None
    claim = {"name": name, "value": seen, "bar": bar, "holds": holds, "n": n}
    more = {"peer": peer, "ratio": ratio, "rows": rows}
    print(json.dumps(claim | {key: item for key, item in more.items() if item is not None}))
