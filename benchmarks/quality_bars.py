"""Claim: 8 bits cost next to nothing, and 4 bits without training at most 15 % of perplexity.

    python benchmarks/quality_bars.py [--chunks N] [--threads N] [--tiny]

References: Gemma 3 270M and SmolLM2-135M dithered off their stored grids (w': they rank methods,
and are never shipped), and the fp student (`pretrain`, 4M parameters: its own float weights).
Whole files, embedding in Q8_0 (by GPTQ where the blocks are), calibrated on 8,192 tokens of each
language that the model has. Other text is scored in torch: chunks of 512 (the student's: 256), the
later half.

    q8_0   GPTQ onto Q8_0: KLD <= 0.003 nats a token in the worst language, on every reference
    q4_0   GPTQ onto Q4_0 blocks: perplexity <= +15 % in every language, judged on the fp student
           only: rounding w' moves it back towards the file it came from, so its perplexity is
           printed and says little

Rounding to nearest stands beside both. What `calibration_language.py` claims (never worse than
rounding to nearest) is not repeated here. About 15 minutes on one core; files are kept in
benchmarks/.work. --tiny: a toy, to see that it runs.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from claim import machine, say_claim
from compression.references import STORE, dithered, toy, weights
from compression.scoring import reference_of, scores_of
from compression.student import student
from compression.texts import real_text, toy_text, write_calibration

from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE as COMPRESS
from seemant.core.machine import cores
from seemant.core.records import LANGUAGES, Lang
from seemant.core.stage import Input, execute, file_input

KLD, PERPLEXITY = 0.003, 1.15  # the bars
WORK = Path(__file__).parent / ".work" / "quality_bars"


class Judged(NamedTuple):
    """A reference, the languages it has, tokens of a chunk, and whether it is exact."""

    name: str
    model: Input
    languages: tuple[Lang, ...]
    length: int
    exact: bool


def main() -> int:
    """Round each reference four ways, score, end with one line of JSON."""
    args = arguments()
    print(machine())
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as scratch:
        work = Path(scratch) if args.tiny else WORK
        rows = [row for each in references(args, work) for row in rows_of(each, args, work)]
    judged = [row for row in rows if row["bar"] is not None]
    worst = max(judged, key=lambda row: row["value"] / row["bar"])
    holds = not args.tiny and all(row["holds"] for row in judged)
    say_claim(
        name="quality_bars",
        value=worst["value"],
        bar=worst["bar"],
        holds=holds,
        n=worst["n"],
        rows=rows,
    )
    return 0 if holds else 1


def rows_of(judged: Judged, args: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Yield a row a format, method and language."""
    text = toy_text() if args.tiny else real_text(judged.languages)
    calibration = write_calibration(text, work / f"{'-'.join(judged.languages)}.jsonl")
    reference = reference_of(weights(judged.model), text, chunks=args.chunks, length=judged.length)
    for name in ("q8_0", "q4_0"):
        for method in ("gptq", "rtn"):
            config = CompressConfig(
                method=method,
                format=name,
                fit="mse" if method == "gptq" else "minmax",
                languages=judged.languages,
                calibration_tokens=512 if args.tiny else 8192,
                sequence=judged.length,
                threads=args.threads,
            )
            given = {"model": judged.model}
            if method == "gptq":
                given["calibration"] = file_input(calibration)
            made = execute(COMPRESS, config, given, store=work / "runs")
            scores = scores_of(made.path / "model.gguf", reference)
            for lang in scores.languages:
                kld, perplexity = scores.kld(lang), scores.perplexity_ratio(lang)
                seen = kld if name == "q8_0" else perplexity
                bar = bar_of(name, method, judged)
                row = {
                    "reference": judged.name,
                    "format": name,
                    "method": method,
                    "lang": lang,
                    "metric": "kld" if name == "q8_0" else "perplexity_ratio",
                    "value": seen.value,
                    "interval": [seen.low, seen.high],
                    "bar": bar,
                    "holds": None if bar is None else seen.value <= bar,
                    "n": sum(each.n for each in scores.chunks[lang]),
                }
                print(
                    f"{judged.name} {method} {name} {lang}: KLD {kld.value:.5f}, perplexity x "
                    f"{perplexity.value:.4f}, bar {bar} holds: {row['holds']}",
                    flush=True,
                )
                yield row


def bar_of(name: str, method: str, judged: Judged) -> float | None:
    """Return what a row is held against; rounding to nearest is reported only."""
    if method != "gptq":
        return None
    if name == "q8_0":
        return KLD
    return PERPLEXITY if judged.exact else None


def references(args: argparse.Namespace, work: Path) -> list[Judged]:
    """Return what is judged."""
    if args.tiny:
        return [Judged("toy", toy(work), LANGUAGES, 64, exact=True)]
    return [
        Judged("fp student", student(STORE), LANGUAGES, 256, exact=True),
        Judged(
            "smollm2 dithered 0", dithered("smollm2-135m-instruct", 0), ("hi", "en"), 512, False
        ),
        Judged("gemma dithered 0", dithered("gemma-3-270m", 0), LANGUAGES, 512, exact=False),
    ]


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=16, help="held-out chunks of each language")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--tiny", action="store_true", help="a toy model: nothing is claimed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
