"""Claim: at equal bytes GPTQ here loses no more than AutoRound, GPTQModel and llm-compressor.

    python benchmarks/kld_vs_quantisers.py [--full] [--order act] [--limit SECONDS] [--tiny]

SmolLM2-135M dithered, Hindi and English; 4 bits, symmetric, groups of 32. The embedding is left
alone, so all sides have 4.5 bits a weight in the blocks (a peer may keep its scales in float32:
that is to its advantage). The same ids calibrate all. Each peer is a process in a venv of its own
(1.3 GB each, CPU wheels only); its dequantised weights go through our decoder. A peer that cannot
be installed here, fails, takes too long, or whose weights lie on no grid has a row that says why.
It is a part of what `kld_vs_kquants` claims.

Bar: the ratio of our KLD to each peer's <= 1 in each language. `value` is the worst ratio; the last
line is one JSON object. By default a peer has 360 s, and at most half an hour goes by. --full: it
has 2 hours. A peer's scores are kept in benchmarks/.work and not made twice.

AutoRound runs its own light recipe (50 steps a block at a rate of 5e-3); its default of 200 steps
is four times as long. --order: our columns', by default what `compress` takes; llm-compressor's is
`act`. --limit: seconds that a peer may take. --tiny: a toy, to see that it runs.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from claim import machine, say_claim
from compression.peers import LANGUAGES, compared
from compression.references import dithered, toy
from compression.texts import Lines, real_text, toy_text

from seemant.core.machine import cores

WORK = Path(__file__).parent / ".work" / "kld_vs_quantisers"


def main() -> int:
    """Quantise with ours and with every peer, score, end with one line of JSON."""
    args = arguments()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as scratch:
        work = Path(scratch) if args.tiny else WORK
        work.mkdir(parents=True, exist_ok=True)
        model = toy(work) if args.tiny else dithered("smollm2-135m-instruct", 0)
        text: Lines = toy_text() if args.tiny else real_text(LANGUAGES)
        rows = compared(model, {lang: text[lang] for lang in LANGUAGES}, args, work)
    ratios = [row["value"] for row in rows if "value" in row]
    holds = not args.tiny and bool(ratios) and max(ratios) <= 1
    say_claim(
        name="kld_vs_quantisers",
        value=max(ratios, default=float("nan")),
        bar=1.0,
        holds=holds,
        n=min((row["n"] for row in rows if "n" in row), default=0),
        peer=", ".join(dict.fromkeys(row["peer"] for row in rows if "value" in row)),
        ratio=max(ratios, default=None),
        rows=rows,
    )
    return 0 if holds else 1


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8192, help="of calibration, a language")
    parser.add_argument("--chunks", type=int, default=8, help="held-out chunks of each language")
    parser.add_argument("--full", action="store_true", help="a peer may take 2 hours")
    parser.add_argument("--limit", type=float, help="seconds that a peer may take")
    parser.add_argument("--order", default=None, help="of our columns: natural, act, groups")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--tiny", action="store_true", help="a toy model: nothing is claimed")
    args = parser.parse_args()
    args.limit = args.limit or (7200 if args.full else 360)
    args.length = 64 if args.tiny else 512
    args.tokens = 512 if args.tiny else args.tokens
    return args


if __name__ == "__main__":
    sys.exit(main())
