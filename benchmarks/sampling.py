"""6,000 uniform lines of a 5 GB file against `shuf -n 6000`: time, memory, flatness, uniformity.

    python benchmarks/sampling.py [--gigabytes 5] [--pairs 5] [--cold-pairs 2] [--keep]

Makes its own files in `benchmarks/.work/` (the size named, and 1 GB more) and removes them at the
end. Both sides run as whole processes that write their lines to a pipe's end, /dev/null, in turn.
Warm: the file is in the page cache where it fits. Cold: the file's pages are dropped with
POSIX_FADV_DONTNEED before each run; a virtual machine's host may still hold them, which helps
both. The last line is one JSON object.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from claim import machine, say_claim

WORK = Path(__file__).parent / ".work"
N_LINES = 6000
N_DRAWS = 100_000
SEEDS = (11, 22, 33)
GB = 10**9
FAR_GB = 95  # the original study's corpus: predicted, not measured
PLATE_BYTES = 1 << 26

# True: `python -m seemant corpus sample`, with everything that the command writes.
# False: the sampler alone as a program, which prints its lines as shuf does.
WHOLE_COMMAND = True
PROGRAM = """
import sys
from pathlib import Path
from seemant.corpus.sampling import sample_lines
sample = sample_lines([Path(p) for p in sys.argv[2:]], int(sys.argv[1]), seed=0)
sys.stdout.buffer.write("".join(line.text + "\\n" for line in sample.lines).encode())
"""


def main() -> int:
    """Run the benchmark; returns 0 when every bar holds."""
    arguments = parse()
    if arguments.make:
        return make_file(Path(arguments.make), int(arguments.gigabytes * GB))
    size = int(arguments.gigabytes * GB)
    WORK.mkdir(exist_ok=True)
    need = size + GB + (1 << 30)
    if shutil.disk_usage(WORK).free < need:
        print(f"not enough space in {WORK}: {need / GB:.1f} GB are needed", file=sys.stderr)
        return 1
    print(machine())
    large, small = WORK / f"large-{arguments.gigabytes:g}.txt", WORK / "small-1.txt"
    try:
        made(large, arguments.gigabytes)
        made(small, 1)
        rows = [
            *against_shuf(large, arguments.pairs, arguments.cold_pairs),
            flatness(small, large, arguments.pairs),
        ]
        rows += predicted(rows, size)
        rows += uniformity(WORK / "skewed.txt")
    finally:
        if not arguments.keep:
            shutil.rmtree(WORK, ignore_errors=True)
    report(rows, size)
    return 0 if all(row["holds"] for row in rows) else 1


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cold-pairs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep the files for the next run")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- the files ----------------------------------------------------------------------------


def made(path: Path, gigabytes: float) -> None:
    """Make the file in a process of its own: this one stays small, as children inherit its peak."""
    if not path.exists():
        command = [sys.executable, __file__, "--make", str(path), "--gigabytes", str(gigabytes)]
        subprocess.run(command, check=True)


def make_file(path: Path, size: int) -> int:
    """Write lines of Hindi, Kannada and English, 12-digit ids first, log-normal lengths.

    One plate of about 64 MB is repeated with new ids until the size is reached.
    """
    import numpy as np

    lines, total, random = [], 0, Random(5)
    bodies = [body.encode() for body in text_bodies()]
    while total < min(PLATE_BYTES, size):
        n_bytes = int(random.lognormvariate(5.6, 1.0)) + 10
        line = b"0" * 12 + b" " + random.choice(bodies)[:n_bytes].decode(errors="ignore").encode()
        lines.append(line + b"\n")
        total += len(lines[-1])
    plate = np.frombuffer(b"".join(lines), np.uint8).copy()
    starts = np.cumsum([0, *(len(line) for line in lines[:-1])])
    written = number = 0
    with path.open("wb") as file:
        while written < size:
            ids = np.arange(number, number + len(lines))
            for place in range(12):
                plate[starts + place] = ids // 10 ** (11 - place) % 10 + 48
            file.write(plate.data)
            written += len(plate)
            number += len(lines)
        file.flush()
        os.fsync(file.fileno())
    print(
        f"{path.name}: {written / GB:.2f} GB, {number} lines, {written / number:.0f} bytes a line",
        file=sys.stderr,
    )
    return 0


def text_bodies() -> list[str]:
    """Return long texts to cut lines from: the shipped corpus, shuffled and joined."""
    from seemant.core.records import LANGUAGES
    from seemant.corpus.shipped import shipped

    random = Random(6)
    bodies = []
    for lang in LANGUAGES:
        texts = [paragraph.text for paragraph in shipped(lang)]
        bodies += [" ".join(random.choices(texts, k=40)) for _ in range(60)]
    return bodies


# ---- time and memory ----------------------------------------------------------------------


def ours(paths: Sequence[Path]) -> list[str]:
    """Return the command of our side."""
    names = [str(path) for path in paths]
    if not WHOLE_COMMAND:
        return [sys.executable, "-c", PROGRAM, str(N_LINES), *names]
    place = ["--n", str(N_LINES), "--out", str(WORK / "sample"), "--force"]
    return [sys.executable, "-m", "seemant", "corpus", "sample", *names, *place]


def shuf(path: Path) -> list[str]:
    """Return the command of the peer."""
    return ["shuf", "-n", str(N_LINES), str(path)]


def run(command: Sequence[str]) -> tuple[float, float]:
    """Return (seconds, peak RSS in MB) of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … failed")
    return seconds, usage.ru_maxrss * 1024 / 1e6


def drop(path: Path) -> None:
    """Drop the file's pages from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def against_shuf(path: Path, pairs: int, cold_pairs: int) -> list[dict[str, Any]]:
    """Return the rows of the race: warm, cold, and the largest peak of our side."""
    rows, peak = [], 0.0
    for state, count in (("warm", pairs), ("cold", cold_pairs)):
        prepare: Callable[[], Any] = (lambda: drop(path)) if state == "cold" else (lambda: None)
        if state == "warm":
            run(shuf(path))  # reads the file into the cache
            run(ours([path]))
        times: dict[str, list[float]] = {"ours": [], "shuf": []}
        for number in range(count):
            sides = [("ours", ours([path])), ("shuf", shuf(path))]
            for side, command in sides if number % 2 else reversed(sides):
                prepare()
                seconds, rss = run(command)
                times[side].append(seconds)
                peak = max(peak, rss) if side == "ours" else peak
        ratios = [s / o for s, o in zip(times["shuf"], times["ours"], strict=True)]
        row = bar_row(f"{state}: shuf's time / ours", median(ratios), 10, count, least=True)
        row |= {"ours_s": times["ours"], "shuf_s": times["shuf"], "ratios": ratios}
        rows.append(row)
        print(f"{state}: ours {spread(times['ours'])}, shuf {spread(times['shuf'])}")
    rows.append(bar_row("peak RSS of our process, MB", peak, 100, pairs + cold_pairs))
    return rows


def flatness(small: Path, large: Path, pairs: int) -> dict[str, Any]:
    """Return our time on the large file named four times over our time on 1 GB, warm."""
    cases = {"1": [small], "4x": [large] * 4}
    for paths in cases.values():
        run(ours(paths))
    times: dict[str, list[float]] = {"1": [], "4x": []}
    for _ in range(pairs):
        for name, paths in cases.items():
            times[name].append(run(ours(paths))[0])
    far = 4 * large.stat().st_size / GB
    value = median(times["4x"]) / median(times["1"])
    what = f"time on {far:.0f} GB (one file named four times, one population) / time on 1 GB"
    print(f"1 GB: {spread(times['1'])}; {far:.0f} GB: {spread(times['4x'])}")
    return bar_row(what, value, 1.3, pairs) | {"s_1gb": times["1"], "s_far": times["4x"]}


def predicted(rows: Sequence[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """Return the ratios at 95 GB: shuf's time in proportion to size, ours as measured here."""
    return [
        {
            "row": f"predicted ratio at {FAR_GB} GB, {row['row'].split(':')[0]}",
            "value": row["value"] * FAR_GB * GB / size,
            "bar": None,
            "holds": True,
            "n": row["n"],
            "origin": "predicted",
        }
        for row in rows
        if row["row"].endswith("ours")
    ]


# ---- uniformity ---------------------------------------------------------------------------


def uniformity(path: Path) -> list[dict[str, Any]]:
    """Return the smallest p of the block sampler, and the largest of byte offsets, over seeds.

    Each seed makes 500 samples of 200 of 20,000 lines whose lengths differ a thousandfold; a
    chi-square over all lines compares how often each came up. The statistic is divided by
    (N - n) / (N - 1), as lines of one sample are drawn without replacement.
    """
    from scipy.stats import chi2

    from seemant.corpus.sampling import sample_lines

    n_lines, n_sample = 20_000, 200
    random = Random(7)
    lengths = [int(random.lognormvariate(5.5, 1.3)) for _ in range(n_lines)]
    path.write_text("".join(f"l{i} {'x' * n}\n" for i, n in enumerate(lengths)))
    data = path.read_bytes()

    def p(counts: Counter[int], scale: float) -> float:
        expected = N_DRAWS / n_lines
        statistic = sum((counts[i] - expected) ** 2 for i in range(n_lines)) / expected
        return float(chi2.sf(statistic * scale, n_lines - 1))

    blocks, offsets = {}, {}
    for seed in SEEDS:
        counts: Counter[int] = Counter()
        for number in range(N_DRAWS // n_sample):
            sub = seed * 1000 + number
            sample = sample_lines([path], n_sample, seed=sub, scan_below_bytes=0)
            assert sample.method == "blocks"
            counts.update(int(line.text.split()[0][1:]) for line in sample.lines)
        blocks[seed] = p(counts, (n_lines - 1) / (n_lines - n_sample))
        random, naive = Random(seed), Counter[int]()
        for _ in range(N_DRAWS):
            start = data.rfind(b"\n", 0, random.randrange(len(data))) + 1
            naive[int(data[start + 1 : data.index(b" ", start)])] += 1
        offsets[seed] = p(naive, 1.0)
    print(f"chi-square p by seed: blocks {blocks}, byte offsets {offsets}")
    return [
        bar_row("uniformity: smallest p over seeds", min(blocks.values()), 1e-3, 3, least=True)
        | {"p": blocks},
        bar_row("byte offsets must fail: largest p", max(offsets.values()), 1e-3, 3)
        | {"p": offsets},
    ]


# ---- the report ---------------------------------------------------------------------------


def bar_row(name: str, value: float, bar: float, n: int, *, least: bool = False) -> dict[str, Any]:
    """Return a row that holds when the value is at least (or at most) its bar."""
    holds = value >= bar if least else value <= bar
    return {"row": name, "value": value, "bar": bar, "holds": holds, "n": n, "least": least}


def spread(times: Sequence[float]) -> str:
    """Return median and range of seconds."""
    return f"{median(times):.2f} s ({min(times):.2f}-{max(times):.2f})"


def report(rows: Sequence[dict[str, Any]], size: int) -> None:
    """Print the rows, then the JSON object: the row that is worst against its bar comes first."""
    program = "seemant corpus sample" if WHOLE_COMMAND else "sample_lines, as a program"
    print(f"{size / GB:.2f} GB; our side: {program}")
    for row in rows:
        mark = "  " if row["bar"] is None else ("ok" if row["holds"] else "NO")
        print(f"{mark} {row['row']}: {row['value']:.4g} (bar {row['bar']}, n {row['n']})")

    def slack(row: dict[str, Any]) -> float:
        value, bar = float(row["value"]), float(row["bar"])
        return value / bar if row["least"] else bar / max(value, 1e-300)

    judged = [row for row in rows if row["bar"] is not None]
    worst = min(judged, key=slack)
    version = subprocess.run(["shuf", "--version"], capture_output=True, text=True, check=True)
    say_claim(
        name="sampling",
        value=worst["value"],
        bar=worst["bar"],
        holds=all(row["holds"] for row in rows),
        n=worst["n"],
        peer=version.stdout.splitlines()[0],
        ratio=rows[0]["value"],
        rows=[worst, *(row for row in rows if row is not worst)],
    )


if __name__ == "__main__":
    raise SystemExit(main())
