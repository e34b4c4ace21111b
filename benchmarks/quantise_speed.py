"""How long a 0.5B model takes to quantise on this machine, and how much memory: claim 3.

    python benchmarks/quantise_speed.py [--methods rtn gptq awq] [--tokens 12288] [--peers ...]
    python benchmarks/quantise_speed.py --tiny        # two layers, few ids and tokens: does it run?

The model has the shapes of Qwen2.5-0.5B-Instruct and weights drawn from a seed (a GGUF file and a
Hugging Face folder in half precision, written once into the benchmarks' cache). Each run is a
process of its own; ours is the whole stage `compress`, from hashing its inputs to the closed file
that was opened again and compared: blocks onto Q4_0, embedding onto Q8_0. Time and memory do not
depend on what weights and text say; quality is no part of this. Calibration is as many tokens for
all in sequences of 512: words drawn from a seed here, ids drawn from one at the peers'. The prefix
of each layer is rounded.

Peers: llm-compressor (GPTQ, AWQ) and GPTQModel (GPTQ), each in its own venv, 4 bits in groups of
32, the head left alone, as many threads. A peer that cannot be installed or fails has a row that
says why.

Bars: RTN <= 20 s, GPTQ and AWQ <= 300 s, the peak of resident memory <= 1.5 GB in each. `value` is
the worst share of its bar. About 10 minutes for ours, and up to --limit (900 s) for each of the
peers' three runs. The last line is one JSON object.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from claim import machine, say_claim
from peers.quantisers import PEERS, Unavailable, answer_of
from peers.venv import cache

SECONDS = {"rtn": 20.0, "gptq": 300.0, "awq": 300.0}
PEAK_BYTES = 1.5e9
MODEL = "config:Qwen/Qwen2.5-0.5B-Instruct"
HERE = Path(__file__).parent


def main() -> int:
    """Run every method in its own process, then the peers; end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=list(SECONDS), default=list(SECONDS))
    parser.add_argument("--tokens", type=int, default=12_288)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--limit", type=float, default=900, help="seconds that a peer may take")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="*", choices=names, default=names)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    from seemant.core.machine import cores

    threads, tokens = args.threads or cores(), 1024 if args.tiny else args.tokens
    print(machine())
    model = made_model(*((2, 4096) if args.tiny else (24, 151_936)))
    work = {"tokens": tokens, "threads": threads, "gguf": str(model / "model.gguf")}
    work |= {"folder": str(model / "hf")}
    rows = []
    for method in args.methods:
        rows.append(row_of("seemant", method, run("quantise_ours.py", work, method)))
        print(line(rows[-1]), flush=True)
    peers = [peer for peer in PEERS if peer.name in args.peers]
    for peer in peers:
        for method in peer.methods:
            if method in args.methods:
                seen = run("quantise_peer.py", work, method, peer=peer.name, limit=args.limit)
                rows.append(row_of(peer.name, method, seen))
                print(line(rows[-1]), flush=True)
    ours = [row for row in rows if row["who"] == "seemant"]
    shares = [row.get("share", float("inf")) for row in ours]
    whole = not args.tiny and set(args.methods) == set(SECONDS) and tokens >= 12_000
    say_claim(
        name="quantise_speed",
        value=round(max(shares), 3),
        bar=1.0,
        holds=whole and max(shares) <= 1,
        n=len(ours),
        peer=", ".join(peer.name for peer in peers),
        rows=rows,
    )
    return 0 if whole and max(shares) <= 1 else 1


def made_model(layers: int, vocab: int) -> Path:
    """Return the folder of the random model: model.gguf and hf/, written where they are missing."""
    folder = cache() / f"qwen2.5-0.5b-words-{layers}-{vocab}"
    if not (folder / ".ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir(parents=True)
        script = HERE / "peers" / "quantise_model.py"
        words = [sys.executable, script, MODEL, str(layers), str(vocab), folder]
        subprocess.run(words, check=True)
        (folder / ".ready").touch()
    return folder


def run(
    script: str,
    work: dict[str, Any],
    method: str,
    *,
    peer: str | None = None,
    limit: float | None = None,
) -> dict[str, Any]:
    """Return what a worker answered: seconds and peak, or why there are none."""
    try:
        answer = answer_of(script, work | {"method": method}, peer=peer, limit=limit)
    except Unavailable as error:
        return {"failure": str(error)}
    if peer and answer["on_grid"] != answer["matrices"]:
        return {"failure": f"rounded {answer['on_grid']} matrices of {answer['matrices']}"}
    return answer


def row_of(who: str, method: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return a table row; `share` is the worst of time and memory as a share of their bars."""
    row = {"who": who, "method": method, **answer}
    if "seconds" in answer:
        row["share"] = max(answer["seconds"] / SECONDS[method], answer["peak"] / PEAK_BYTES)
    return row


def line(row: dict[str, Any]) -> str:
    """Return a row for reading."""
    head = f"{row['who']:16} {row['method']:5}"
    if "failure" in row:
        return f"{head} {row['failure']}"
    return f"{head} {row['seconds']:7.1f} s, peak {row['peak'] / 1e9:.2f} GB"


if __name__ == "__main__":
    sys.exit(main())
