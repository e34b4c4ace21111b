"""What every claim script shares: the machine's line, and the JSON object that ends it."""

import json
from typing import Any

from seemant.core.machine import hardware, load_average, packages


def machine() -> str:
    """Return the line that stands above every figure: CPU, flags, cores, load, versions."""
    facts = hardware()
    versions = " ".join(f"{name} {version}" for name, version in packages().items())
    return (
        f"{facts['cpu']} ({' '.join(facts['flags'])}), {facts['cores']} cores, "
        f"{facts['memory_gb']} GB, load {load_average():.2f}; {versions}"
    )


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
    """Print the last line of a claim script."""
    claim = {"name": name, "value": value, "bar": bar, "holds": holds, "n": n}
    more = {"peer": peer, "ratio": ratio, "rows": rows}
    print(json.dumps(claim | {key: item for key, item in more.items() if item is not None}))
