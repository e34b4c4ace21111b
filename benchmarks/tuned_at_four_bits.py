"""Claim: a tuned model whose base was quantised before keeps its change in a 4-bit file.

    python benchmarks/tuned_at_four_bits.py [--full] [--threads N]

Both embedded models, untuned and tuned (a LoRA of 40 steps on pairs that Gemma wrote, merged in
float32), as 4-bit files on Q4_0 and Q4_1 blocks, embedding Q8_0:

- nearest: merged, rounded to nearest by one who does not know what the base was;
- ties: the same, weights at ties of the base rounded at random (what `compress` does by itself);
- gptq: error feedback, calibrated on other text in every language;
- apart: the base rounded to nearest, the adapter kept beside it in float (`apart-gptq`: by GPTQ).

Measured against the float32 model of the same state: divergence on held-out text in torch, chunks
of 256 tokens of which the later half is scored; the adapter's gain in the file (1: as trained, 0:
rounded away); on Q4_0 the project's own questions, by likelihood (with --full the models answer
them too).

Held: on tuned Gemma in Q4_0, where the base's Q5_0 grid is nested, `ties` leaves at most half of
nearest's KLD in every language, the ratio's interval below 1. Gemma alone takes 33 CPU minutes with
its student there already, 8 more for the student. What is finished is kept in benchmarks/.work.
"""

import argparse
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from claim import finished, machine, say_claim
from compression.scoring import reference_of, scores_of
from compression.texts import real_text
from tuned_files import TUNED, Model, State, files, states_of
from tuned_probes import probe_rows, said_probe

from seemant.compress.adapter_gain import adapter_gain
from seemant.compress.config import CompressConfig
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.scores import Scores, kld_ratio
from seemant.compress.plan import plan_tensors
from seemant.compress.source import Source
from seemant.core.machine import cores

BAR = 0.5
LENGTH = 256
GRIDS = ("q4_0", "q4_1")
GEMMA = "gemma-3-270m"
MODELS = (
    Model(GEMMA, ("hi", "kn", "en"), ("hi", "kn")),
    Model("smollm2-135m-instruct", ("hi", "en"), ("hi",)),
)


def main() -> int:
    """Measure every file, print a row each, end with one line of JSON."""
    args = arguments()
    print(machine())
    rows: list[dict[str, Any]] = []
    probes: list[dict[str, Any]] = []
    kept = partial(finished, "tuned_at_four_bits", keep=True)
    for model in MODELS:
        for state in states_of(model, args):
            reference = reference_once(state, args)
            for grid in GRIDS:
                part, asked = f"{model.name}-{state.name}-{grid}", {"chunks": args.chunks}
                rows += kept(part, asked, partial(rows_of, state, grid, reference, args))
        asked = {"full": args.full}
        probes += kept(f"{model.name}-probes", asked, partial(probe_rows, model, args))
    for row in rows:
        print(said(row))
    for row in probes:
        print(said_probe(row))
    judged = [r for r in rows if r["bar"] is not None]
    value = max(row["of_nearest"][0] for row in judged)
    holds = value <= BAR and all(row["of_nearest"][2] < 1 for row in judged)
    say_claim(
        name="tuned_at_four_bits",
        value=value,
        bar=BAR,
        holds=holds,
        n=min(row["n"] for row in judged),
        peer="rounding the merged weights to nearest",
        ratio=value,
        rows=rows + probes,
    )
    return 0 if holds else 1


def reference_once(state: State, args: argparse.Namespace) -> Callable[[], Reference]:
    """Return what computes a state's reference at its first call only: kept rows need none."""
    text = real_text(state.model.languages)
    return cache(partial(reference_of, state.whole, text, chunks=args.chunks, length=LENGTH))


def rows_of(
    state: State, grid: str, reference: Callable[[], Reference], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return a row a cure and language of one state of a model on one grid."""
    rows: list[dict[str, Any]] = []
    found: dict[str, Scores] = {}
    for cure, path in files(state, grid, args):
        found[cure] = scores_of(path, reference())
        gain = gain_in(path, state.source, grid)
        rows += [row(state, grid, cure, lang, found, gain) for lang in state.model.languages]
    return rows


def gain_in(path: Path, source: Source, grid: str) -> dict[str, float]:
    """Return the adapter's gain in a file, by the layout that the base is stored in."""
    return adapter_gain(path, source, plan_tensors(source.file, CompressConfig(format=grid)))


def row(
    state: State,
    grid: str,
    cure: str,
    lang: str,
    found: dict[str, Scores],
    gain: dict[str, float],
) -> dict[str, Any]:
    """Return what is known of one file in one language."""
    kld, top1 = found[cure].kld(lang), found[cure].top1(lang)
    nearest = found["nearest"]  # without damage where the base's own grid is this one
    compared = cure != "nearest" and nearest.tokens(lang).kld.any()
    left = kld_ratio(found[cure], nearest, lang) if compared else None
    judged = (state.model.name, state.name, grid, cure) == (GEMMA, TUNED, "q4_0", "ties")
    return {
        "model": state.model.name,
        "state": state.name,
        "grid": grid,
        "cure": cure,
        "lang": lang,
        "kld": [kld.value, kld.low, kld.high],
        "top1": [top1.value, top1.low, top1.high],
        "of_nearest": None if left is None else [left.value, left.low, left.high],
        "gain": gain,
        "n": found[cure].tokens(lang).n,
        "bar": BAR if judged else None,
    }


def said(row: dict[str, Any]) -> str:
    """Return a row in one line."""
    kld, low, high = row["kld"]
    gain = ", ".join(f"{key} {value:.2f}" for key, value in row["gain"].items())
    left = row["of_nearest"]
    return (
        f"{row['model']} {row['state']} {row['grid']} {row['cure']} {row['lang']}: "
        f"KLD {kld:.3f} [{low:.3f}, {high:.3f}], same best token {row['top1'][0]:.2f}"
        + ("" if left is None else f", {left[0]:.2f} [{left[1]:.2f}, {left[2]:.2f}] of nearest's")
        + (f"; gain {gain}" if gain else "")
        + f"; n = {row['n']}"
    )


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the probes too")
    parser.add_argument("--chunks", type=int, default=12, help="chunks scored of each language")
    parser.add_argument("--threads", type=int, default=cores())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
