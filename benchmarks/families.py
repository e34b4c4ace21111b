"""Every family through everything, on random small models with published tokenizers cut small.

    python benchmarks/families.py [--only Qwen3]
    python benchmarks/families.py --whole [--only "Gemma 3 1B"] [--tokens 2048]

Cells: `decoder` (largest difference of logits from transformers'), `gradient` (of any parameter's
gradient, relative), `GGUF` (KLD of llama.cpp on the file that we write), `tokens` (texts with other
ids by folder, file or llama.cpp), `GPTQ` (its damage over rounding's to nearest at 3 bits), `LoRA`
(KLD of llama.cpp with base and trained adapter from PEFT's merged model). Each row runs at least
two seeds; the worst counts. value = cells past their bar, bar 0.

`--whole`: whole-size shapes with whole published tokenizers (by npm) through convert, compress
(GPTQ), bench and export: time, memory, and whether llama.cpp answers from each file. value =
commands that failed and files that do not load, bar 0.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from claim import machine, say_claim
from family_rows import cells
from family_rows.folders import ROWS, WORDS, Row, make_folder
from family_rows.whole import WHOLE, calibration, make_whole, through

from seemant.core.paths import data_dir

BARS = {
    "decoder": 1e-4,
    "gradient": 1e-4,
    "GGUF": 1e-4,
    "tokens": 0.0,
    "GPTQ": 1.0,
    "LoRA": 1e-4,
}
SEEDS = (0, 1)
CALIBRATION = (
    "canals carry water from the river to {} fields; the keeper of gate {} opens it at dawn"
)


def main() -> int:
    """Measure, print the table, end with one line of JSON; 0 when every cell holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one row of the table")
    parser.add_argument("--whole", action="store_true", help="whole-size shapes")
    parser.add_argument("--tokens", type=int, default=2048, help="of GPTQ's text, a language")
    asked = parser.parse_args()
    print(machine())
    if (data := data_dir()) is None:
        print("no data folder: set SEEMANT_DATA", file=sys.stderr)
        return 1
    if asked.whole:
        return whole_sizes(asked.only, data / "corpus", tokens=asked.tokens)
    rows = []
    for name, row in ROWS.items():
        if asked.only in (None, name):
            rows.append(worst_of(name, row, data / "field" / WORDS))
            print(shown(rows[-1]), flush=True)
    past = sum(not holds(row["cells"][cell], bar) for row in rows for cell, bar in BARS.items())
    plain = [{**r, "cells": {c: finite(v) for c, v in r["cells"].items()}} for r in rows]
    say_claim(
        name="families", value=past, bar=0, holds=past == 0 and bool(rows), n=len(rows), rows=plain
    )
    return int(past > 0)


def worst_of(name: str, row: Row, words: Path) -> dict[str, Any]:
    """Return a family's row: each cell's worst figure over the seeds, and why one has none."""
    worst: dict[str, float] = {}
    why: dict[str, str] = {}
    start = time.monotonic()
    for seed in SEEDS:
        with tempfile.TemporaryDirectory(prefix="seemant-families-") as place:
            for cell, value in measured(row, words, Path(place), seed, why):
                worst[cell] = max(worst.get(cell, -math.inf), value)
    seconds = time.monotonic() - start
    return {"family": name, "cells": worst, "why": why, "seconds": round(seconds)}


def measured(row: Row, words: Path, place: Path, seed: int, why: dict[str, str]) -> Any:
    """Yield each cell's name and figure; one that raises is infinite, and told in `why`."""
    import copy

    from seemant.core.errors import SeemantError
    from seemant.models.hf_to_gguf import hf_to_gguf

    folder, gguf, store = place / "hf", place / "model.gguf", place / "runs"
    model = make_folder(row, words, folder, seed=seed)
    text, pairs = place / "text.txt", place / "pairs.jsonl"
    lines = [CALIBRATION.format(i, i * 7) for i in range(300)]
    unseen = " ".join(CALIBRATION.format(i, i * 3) for i in range(400, 420))
    text.write_text("\n\n".join(lines), encoding="utf-8")
    asked = [
        {
            "instruction": f"Which gate {i}?",
            "input": "",
            "output": f"Gate {i} of the canal.",
            "id": str(i),
            "lang": "en",
            "paragraph_id": str(i),
            "teacher": "hand",
            "checks": {},
        }
        for i in range(24)
    ]
    pairs.write_text("".join(json.dumps(each) + "\n" for each in asked), encoding="utf-8")
    try:
        hf_to_gguf(folder, gguf, name="tiny")
    except SeemantError as error:
        why["GGUF"] = str(error)
    steps = {
        "decoder": lambda: cells.decoder(folder, model),
        "gradient": lambda: cells.gradient(folder, copy.deepcopy(model)),
        "GGUF": lambda: cells.in_llama_cpp(gguf, folder, model),
        "tokens": lambda: cells.other_tokens(gguf, folder),
        "GPTQ": lambda: cells.gptq(gguf, text, unseen, model, store),
        "LoRA": lambda: cells.lora(folder, pairs, copy.deepcopy(model), store),
    }
    for cell, step in steps.items():
        try:
            yield cell, step()
        except Exception as fault:  # a cell that can't be measured does not hold
            why.setdefault(cell, f"{type(fault).__name__}: {str(fault).splitlines()[0]}")
            yield cell, math.inf


def whole_sizes(only: str | None, corpus: Path, *, tokens: int) -> int:
    """Take whole-size shapes through the command line; 0 when all goes well."""
    rows = []
    for name, shape in WHOLE.items():
        if only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="seemant-whole-") as place:
            # The cache too: whatever is made on the way goes with the folder.
            os.environ["SEEMANT_CACHE"] = str(Path(place) / "cache")
            folder, text = Path(place) / "hf", Path(place) / "text.txt"
            make_whole(shape, folder)
            calibration(corpus, text)
            for row in through(Path(place), folder, text, tokens=tokens):
                rows.append({"model": name, "tokens": tokens, **row})
                print(json.dumps(rows[-1]), flush=True)
    wrong = sum(bool(row["exit"]) or row.get("loads") is False for row in rows)
    holds_all = wrong == 0 and bool(rows)
    say_claim(name="families_whole", value=wrong, bar=0, holds=holds_all, n=len(rows), rows=rows)
    return int(not holds_all)


def holds(value: float, bar: float) -> bool:
    """Return whether a cell keeps its bar."""
    return math.isfinite(value) and value <= bar


def finite(value: float) -> float | None:
    """Return the value for JSON: a cell that was not measured is null."""
    return value if math.isfinite(value) else None


def shown(row: dict[str, Any]) -> str:
    """Return a row as a line of the table."""
    figures = "  ".join(
        f"{cell} {value:.2g}{'' if holds(value, BARS[cell]) else ' (!)'}"
        for cell, value in row["cells"].items()
    )
    why = "".join(f"\n    {cell}: {said}" for cell, said in row["why"].items())
    return f"{row['family']:34}{figures}  ({row['seconds']} s){why}"


if __name__ == "__main__":
    raise SystemExit(main())
