"""How long a GGUF file takes to become a ready torch model, against transformers' own path.

    python benchmarks/load_model.py [--repeats 3] [--models gemma-3-270m smollm2-135m-instruct]

"Ready" is: weights and tokenizer loaded, a text tokenised, and the logits of its first 32 tokens
computed (a mapped file is only read when it is used). Each measurement is a process of its own;
imports are timed apart. First load, cached load and transformers take turns. The file is in the
page cache, as after a download. Medians are held against the bars; every value is in `rows`.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BARS_S = {"first": 15.0, "cached": 3.0}
LOGITS_BAR = 1e-3  # both compute in float32, in another order
N_TOKENS = 32
TEXTS = {
    "hi": "भारत की राजधानी नई दिल्ली है। वर्षा ऋतु में किसान धान बोते हैं, और नदियाँ भर जाती हैं।",
    "kn": "ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ. ಮಳೆಗಾಲದಲ್ಲಿ ರೈತರು ಭತ್ತ ಬಿತ್ತುತ್ತಾರೆ, ನದಿಗಳು ತುಂಬಿ ಹರಿಯುತ್ತವೆ.",
    "en": "The capital of India is New Delhi. It's raining, and 1234 boats don't move.",
    "code": "def area(r):\n    # a circle's area\n    return 3.14159 * r ** 2\n\n\nx = 1\n",
}


def main() -> None:
    """Measure, print rows, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["gemma-3-270m", "smollm2-135m-instruct"])
    parser.add_argument("--one", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--logits", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure = ours if args.one == "ours" else peer
        print(json.dumps(measure(args.file, args.logits)))
        return
    conditions()
    rows = [row for name in args.models for row in compare(name, args.repeats)]
    for row in rows:
        print(row)
    worst = max((row for row in rows if row["unit"] == "s"), key=lambda r: r["value"] / r["bar"])
    result = {
        "name": "load_model",
        "value": worst["value"],
        "bar": worst["bar"],
        "holds": all(row["holds"] for row in rows),
        "n": args.repeats,
        "peer": worst["peer"],
        "ratio": worst["ratio"],
        "rows": rows,
    }
    print(json.dumps(result))


def compare(name: str, repeats: int) -> list[dict[str, Any]]:
    """Return the rows of one model: seconds of first and cached load, logits, token ids."""
    from seemant.models.resolve import resolve

    file = resolve(f"embedded:{name}", fetch=True).path
    runs: dict[str, list[dict[str, Any]]] = {"first": [], "cached": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats):
            cache = Path(folder) / f"cache{repeat}"
            for kind in ("first", "cached", "peer"):
                run = alone("peer" if kind == "peer" else "ours", file, cache, Path(folder) / kind)
                runs[kind].append(run)
                print(
                    f"{name} {kind} {repeat + 1}/{repeats}: ready {run['ready_s']:.2f} s "
                    f"(load {run['load_s']:.2f} s), imports {run['imports_s']:.2f} s, "
                    f"peak {run['peak_mb']:.0f} MB, load average {os.getloadavg()[0]:.1f}"
                )
            shutil.rmtree(cache)
        difference = largest_difference(Path(folder) / "first", Path(folder) / "peer")
        cached = largest_difference(Path(folder) / "first", Path(folder) / "cached")
    rows = []
    peer_s = statistics.median(run["ready_s"] for run in runs["peer"])
    for kind, bar in BARS_S.items():
        values = [run["ready_s"] for run in runs[kind]]
        value = statistics.median(values)
        own = {"values": values, "peer": peer_s, "ratio": peer_s / value}
        rows.append(row(name, f"{kind} load", value, bar, "s", value <= bar) | own)
    rows.append(
        row(name, "logits", difference, LOGITS_BAR, "max abs diff", difference <= LOGITS_BAR)
    )
    rows.append(row(name, "logits, cached", cached, 0.0, "max abs diff", cached == 0.0))
    ids = {kind: runs[kind][0]["ids"] for kind in runs}
    differ = [lang for lang in TEXTS if len({str(each[lang]) for each in ids.values()}) > 1]
    rows.append(row(name, "texts with other ids", len(differ), 0, "texts", not differ))
    return rows


def row(model: str, what: str, value: float, bar: float, unit: str, holds: bool) -> dict[str, Any]:
    """Return one line of the result."""
    return {
        "model": model,
        "what": what,
        "value": value,
        "bar": bar,
        "unit": unit,
        "holds": holds,
    }


def alone(kind: str, file: Path, cache: Path, logits: Path) -> dict[str, Any]:
    """Run one measurement in a fresh process and return what it printed."""
    command = [sys.executable, __file__, "--one", kind, "--file", file, "--logits", logits]
    environment = os.environ | {"SEEMANT_CACHE": str(cache), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{kind} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def ours(file: Path, out: Path) -> dict[str, Any]:
    """Measure seemant's path."""
    imports_s = imports()
    from seemant.models.load import load_torch

    start = time.perf_counter()
    loaded = load_torch(file)
    load_s = time.perf_counter() - start
    ids = {lang: loaded.tokenizer.encode(text) for lang, text in TEXTS.items()}
    return finish(loaded.model, ids, start, load_s, imports_s, out)


def peer(file: Path, out: Path) -> dict[str, Any]:
    """Measure transformers' own path."""
    imports_s = imports()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start = time.perf_counter()
    given = {"gguf_file": file.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **given)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
    load_s = time.perf_counter() - start
    ids = {lang: tokenizer(text).input_ids for lang, text in TEXTS.items()}
    return finish(model, ids, start, load_s, imports_s, out)


def finish(
    model: Any, ids: dict[str, list[int]], start: float, load_s: float, imports_s: float, out: Path
) -> dict[str, Any]:
    """Compute the first logits, stop the clock, keep the logits for the comparison."""
    import numpy as np
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([ids["hi"][:N_TOKENS]])).logits[0]
    ready_s = time.perf_counter() - start
    with out.open("wb") as stream:
        np.save(stream, logits.float().numpy())
    return {
        "ready_s": ready_s,
        "load_s": load_s,
        "imports_s": imports_s,
        "peak_mb": peak_mb(),
        "ids": ids,
    }


def imports() -> float:
    """Import what both paths need; return the seconds."""
    start = time.perf_counter()
    import gguf  # noqa: F401
    import torch
    from transformers import (  # noqa: F401
        AutoModelForCausalLM,
        AutoTokenizer,
        Gemma3ForCausalLM,
        LlamaForCausalLM,
    )

    torch.set_num_threads(1)
    return time.perf_counter() - start


def largest_difference(one: Path, other: Path) -> float:
    """Return the largest absolute difference of two saved logits."""
    import numpy as np

    a, b = np.load(one), np.load(other)
    return float(abs(a - b).max()) if a.shape == b.shape else float("inf")


def peak_mb() -> float:
    """Return this process's peak resident memory."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def conditions() -> None:
    """Print the machine and the versions. The peer is in the same environment: one venv."""
    from seemant.core.machine import hardware, load_average, packages

    facts = hardware()
    print(f"{facts['cpu']}, {facts['cores']} cores, {platform.system()}, {facts['flags']}")
    print(f"load average {load_average():.2f}; one thread a process; peer in the same venv")
    print(", ".join(f"{name} {version}" for name, version in packages().items()))


if __name__ == "__main__":
    main()
