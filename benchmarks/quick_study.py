"""The quick study from a fresh clone with empty caches: its time by node, planned and measured.

    .venv/bin/python benchmarks/quick_study.py                     # about 10 minutes, alone
    .venv/bin/python benchmarks/quick_study.py --models-from ~/.cache/seemant   # no downloads

Clones the committed state into a scratch folder, points `SEEMANT_CACHE` into it, fetches the models
(set-up, told apart), asks `study plan` and then runs `study run quick`, as `make study` does, with
this Python. Where the processor knows more than AVX2, torch, oneDNN and MKL are held to AVX2; the
wheel of llama.cpp uses AVX2 at most anyway. Nothing else should run on the machine meanwhile.

Holds where the study takes at most 600 s of two cores and the plan is within 30 % of that.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from claim import machine, say_claim

from seemant.core.machine import cores, hardware, load_average
from seemant.core.manifest import load_manifest

BAR_S = 600.0
PLAN_WITHIN = 0.3
ROOT = Path(__file__).parents[1]
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def main() -> None:
    """Run the study and print a row a node, then the claim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models-from", type=Path, help="a cache whose models are copied")
    parser.add_argument("--report", type=Path, help="where to keep the study's page")
    parser.add_argument("--set", action="append", default=[], help="as of `study run`; for trials")
    asked = parser.parse_args()
    print(machine())
    with TemporaryDirectory(prefix="seemant-quick-") as scratch:
        rows, facts = measured(Path(scratch), asked.models_from, asked.set)
        if asked.report is not None:
            shutil.copy(Path(scratch) / "clone" / "runs" / "quick" / "report.html", asked.report)
    print(f"{'node':24} {'planned s':>9} {'s':>7} {'cpu s':>7}")
    for row in rows:
        print("{node:24} {planned:9.1f} {seconds:7.1f} {cpu:7.1f}".format(**row))
    ratio = facts["planned_s"] / facts["seconds"]
    print(
        f"set-up {facts['setup_s']:.0f} s; study {facts['seconds']:.0f} s, planned "
        f"{facts['planned_s']:.0f} s ({ratio:.2f} times); load before {facts['load']:.2f}; "
        f"held to AVX2: {'yes' if facts['held'] else 'the processor has no more'}"
    )
    say_claim(
        name="quick_study",
        value=round(facts["seconds"], 1),
        bar=BAR_S,
        holds=facts["seconds"] <= BAR_S and abs(ratio - 1) <= PLAN_WITHIN and cores() <= 2,
        n=len(rows),
        peer="its own plan",
        ratio=round(ratio, 3),
    )


def measured(
    scratch: Path, models_from: Path | None, sets: list[str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a row a node, and the seconds of set-up, plan and study."""
    clone, cache = scratch / "clone", scratch / "cache"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    held = any(flag.startswith("avx512") for flag in hardware()["flags"])
    environment = os.environ | {"SEEMANT_CACHE": str(cache), "PYTHONPATH": str(clone / "src")}
    environment |= AVX2 if held else {}
    flags = [word for text in sets for word in ("--set", text)]

    def seemant(*words: str) -> str:
        command = [sys.executable, "-m", "seemant", *words]
        done = subprocess.run(
            command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    start = time.monotonic()
    if models_from is not None:
        shutil.copytree(models_from / "models", cache / "models")
    seemant("models", "fetch")
    set_up = time.monotonic() - start
    planned = json.loads(seemant("study", "plan", "quick", "--json", *flags))
    load, start = load_average(), time.monotonic()
    done = json.loads(seemant("study", "run", "quick", "--json", *flags))
    seconds = time.monotonic() - start
    manifests = {name: load_manifest(Path(clone / path)) for name, path in done["nodes"].items()}
    rows = [
        {
            "node": row["node"],
            "planned": row["seconds"],
            "seconds": manifests[row["node"]].wall_s,
            "cpu": manifests[row["node"]].cpu_s,
        }
        for row in planned["rows"]
    ]
    facts = {"setup_s": set_up, "seconds": seconds, "planned_s": planned["wall_s"]}
    return rows, facts | {"load": load, "held": held}


if __name__ == "__main__":
    main()
