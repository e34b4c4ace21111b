"""Gradients of the same step by several trainers, against a float64 reference."""

import shutil
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peers.drive import Worker
from peers.venv import peer_python


def gradient_rows(
    folder: Path,
    label: str,
    spec: Mapping[str, Any],
    own: Mapping[str, Any],
    *,
    n: int,
    bar: float,
    beside_hf: bool = False,
    worst: bool = False,
    reference: Path | None = None,
) -> list[dict[str, Any]]:
    """Return the row of our error against float64 on `n` rows of text, held to `bar`.

    own: settings of ours alone. worst: the largest error of any tensor on any row is held, not
    the median over rows of all tensors' error. beside_hf: on every row ours must be no larger
    than HF + PEFT's own in float32. reference: the folder whose weights the peers read, where it
    is not the spec's.
    """
    theirs = {**spec, "model": str(reference)} if reference else dict(spec)
    exact = gradients_of(folder / "exact", "peer_hf.py", {**theirs, "dtype": "float64"}, n)
    ours = gradients_of(folder / "ours", "ours.py", {**spec, **own}, n)
    hf = gradients_of(folder / "hf", "peer_hf.py", theirs, n)
    mine = [errors(a, b) for (_, a), (_, b) in zip(ours, exact, strict=True)]
    his = [errors(a, b) for (_, a), (_, b) in zip(hf, exact, strict=True)]
    value = (
        max(each["worst"] for each in mine)
        if worst
        else statistics.median(each["all"] for each in mine)
    )
    no_larger = all(a["all"] <= b["all"] for a, b in zip(mine, his, strict=True))
    loss_error = max(abs(a - b) for (a, _), (b, _) in zip(ours, exact, strict=True))
    return [
        {
            "what": f"{label}: adapters' gradients against float64",
            "of": "worst tensor of any row" if worst else "all tensors, median of rows",
            "value": value,
            "bar": bar,
            "holds": value <= bar and (no_larger or not beside_hf),
            "by_row": [each["all"] for each in mine],
            "hf_by_row": [each["all"] for each in his],
            "worst_tensor": max(each["worst"] for each in mine),
            "hf_worst_tensor": max(each["worst"] for each in his),
            "no_larger_than_hf": no_larger,
            "loss_error": loss_error,
            "n": n,
        }
    ]


def gradients_of(
    to: Path, script: str, spec: Mapping[str, Any], n: int
) -> list[tuple[float, Path]]:
    """Return the loss of each of the first `n` steps, and the file that holds its gradients."""
    python = Path(sys.executable) if script == "ours.py" else peer_python()
    with Worker(script, python, script, spec) as worker:
        worker.ready()
        found = []
        for step in range(n):
            path = to.with_name(f"{to.name}_{step}.safetensors")
            loss = worker.ask("gradients", step=step, to=str(path))["loss"]
            found.append((float(loss), path))
    return found


def errors(got: Path, exact: Path) -> dict[str, float]:
    """Return |g - r| / |r| of all tensors as one vector, and of the worst tensor."""
    from safetensors.torch import load_file

    mine, wanted = load_file(got), load_file(exact)
    if mine.keys() != wanted.keys():
        raise SystemExit(f"other tensors: {sorted(mine.keys() ^ wanted.keys())[:3]}")
    squares, sizes, worst = 0.0, 0.0, 0.0
    for name, r in wanted.items():
        r = r.double()
        off, size = float((mine[name].double() - r).norm()), float(r.norm())
        squares, sizes = squares + off**2, sizes + size**2
        worst = max(worst, off / size)
    return {"all": (squares / sizes) ** 0.5, "worst": worst}


def dequantised_folder(spec: Mapping[str, Any], base: Path, to: Path) -> Path:
    """Write the folder of a float model that holds exactly what our quantised one holds."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for path in base.iterdir():
        if path.suffix in (".json", ".jinja"):
            shutil.copy(path, to)
    with Worker("weights", Path(sys.executable), "ours.py", spec) as worker:
        worker.ready()
        worker.ask("weights", to=str(to / "model.safetensors"))
    return to
