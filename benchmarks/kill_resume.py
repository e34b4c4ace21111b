"""A study killed with -9 at ten random moments ends with what an undisturbed one ends with.

    .venv/bin/python benchmarks/kill_resume.py            # the quick study in small, about 15 min
    .venv/bin/python benchmarks/kill_resume.py --full     # the quick study as it is, about 45 min

Runs `seemant study run quick` twice with the same seeds, in two stores: once undisturbed, once
killed (the study's process gets SIGKILL; its nodes and their workers have to die with it) and
started again until it ends. Compared are all time-free measurements, the content of every artefact
but the timed one, and every journal, entry by entry.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from claim import machine, say_claim

from seemant.core.manifest import load_manifest

WORK = Path(__file__).parent / ".work" / "kill_resume"
SMALL = [
    "paragraphs=8",
    "steps=12",
    "families=8",
    "new_tokens=8",
    "tokens=60",
    "calibration_tokens=512",
    "repeats=1",
    "gemma.save_every=4",
    "smollm.save_every=4",
]


def command(store: Path, sets: list[str]) -> list[str]:
    """Return the command that runs or resumes the study."""
    flags = [word for text in sets for word in ("--set", text)]
    return [
        sys.executable,
        "-m",
        "seemant",
        "study",
        "run",
        "quick",
        "--store",
        str(store),
        *flags,
    ]


def undisturbed(store: Path, sets: list[str]) -> float:
    """Run the study and return its seconds."""
    start = time.monotonic()
    subprocess.run(command(store, sets), check=True, stdout=subprocess.DEVNULL, stderr=log(store))
    return time.monotonic() - start


def killed(store: Path, sets: list[str], seconds: float, kills: int, seed: int) -> tuple[int, int]:
    """Run the study with `kills` kills; return how many struck it, and how many orphans lived."""
    draw, struck, orphans = random.Random(seed), 0, 0
    while True:
        process = subprocess.Popen(
            command(store, sets), stdout=subprocess.DEVNULL, stderr=log(store)
        )
        if struck == kills:
            if process.wait() != 0:
                raise SystemExit(f"the resumed study failed: {store}/study.log")
            return struck, orphans
        try:
            process.wait(timeout=draw.uniform(1.5, max(4.0, seconds / (kills - 1))))
            if process.returncode != 0:
                raise SystemExit(f"the resumed study failed: {store}/study.log")
            return struck, orphans
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            struck += 1
            time.sleep(0.5)
            orphans += len(nodes_alive(store))
            print(f"kill {struck} of {kills}", file=sys.stderr, flush=True)


def nodes_alive(store: Path) -> list[int]:
    """Return the processes that still work for a store."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        ours = any(word.startswith(b"seemant.") for word in words)
        if ours and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def log(store: Path) -> int:
    """Return a descriptor of the study's log."""
    store.mkdir(parents=True, exist_ok=True)
    return os.open(store / "study.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def artefacts(store: Path) -> dict[str, Path]:
    """Return the artefact of each node."""
    state = json.loads((store / "quick" / "study.json").read_text(encoding="utf-8"))
    return {name: store / "quick" / node["artefact"] for name, node in state["nodes"].items()}


def measurements(path: Path) -> list[dict[str, object]]:
    """Return an artefact's measurements that no clock had a hand in."""
    found = load_manifest(path).measurements
    return [m.model_dump() for m in found if not m.timed]


def journal(path: Path) -> list[str]:
    """Return an artefact's journal lines, sorted: workers may end in another order."""
    return sorted(
        line for file in path.rglob("*journal*.jsonl") for line in file.read_text().splitlines()
    )


def main() -> int:
    """Run both studies, compare them, print the claim."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the quick study in its own sizes")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="keep both stores")
    options = parser.parse_args()
    sets = [] if options.full else SMALL
    shutil.rmtree(WORK, ignore_errors=True)
    calm, rough = WORK / "calm", WORK / "rough"
    seconds = undisturbed(calm, sets)
    print(f"undisturbed: {seconds:.0f} s", file=sys.stderr, flush=True)
    struck, orphans = killed(rough, sets, seconds, options.kills, options.seed)
    ours, theirs = artefacts(calm), artefacts(rough)
    n, differ, content, torn = 0, [], [], []
    for name, path in ours.items():
        one, two = measurements(path), measurements(theirs[name])
        n += len(one)
        if one != two:
            differ.append(name)
        timed = load_manifest(path).stage in ("bench", "frontier", "recommend", "export", "report")
        if (
            not timed
            and load_manifest(path).content_sha256 != load_manifest(theirs[name]).content_sha256
        ):
            content.append(name)
        entries = journal(theirs[name])
        if len(set(entries)) != len(entries) or entries != journal(path):
            torn.append(name)
    print(f"{machine()}")
    print(f"nodes {len(ours)}, time-free measurements {n}, kills {struck}, orphans {orphans}")
    for what, names in (("measurements", differ), ("content", content), ("journals", torn)):
        print(f"{what} that differ: {', '.join(names) or 'none'}")
    if not options.keep:
        shutil.rmtree(WORK, ignore_errors=True)
    bad = len(differ) + len(content) + len(torn) + orphans
    holds = bad == 0 and struck == options.kills and n > 0
    say_claim(
        name="kill_resume",
        value=bad,
        bar=0,
        holds=holds,
        n=struck,
        rows=[
            {
                "nodes": len(ours),
                "measurements": n,
                "undisturbed_s": round(seconds),
                "full": options.full,
            }
        ],
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
