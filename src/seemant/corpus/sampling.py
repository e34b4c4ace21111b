"""Exact uniform sampling of lines without replacement, several files as one population."""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Literal

from seemant.core.errors import BadFile, BadRecord
from seemant.core.seeds import derive_seed
from seemant.core.sources import Source, open_source
from seemant.corpus.blocks import BLOCK_BYTES, Draw, draw_lines
from seemant.corpus.reservoir import reservoir
from seemant.corpus.rules import Line, Rules, SetAside, judge, others_in
from seemant.corpus.scripts import LANGUAGE_NAMES
from seemant.corpus.told import SAME_SCRIPT

SCAN_BELOW_BYTES = 1 << 25  # smaller corpora are read whole: it takes no longer than the pilot


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A sample in random order.

    aside: lines that were met and set aside. method: "blocks" (no scan) or "scan" (a full pass).
    n_tries, n_restarts, bounds: what the block method took; 0 and () for a scan.
    notes: what a user should know, in whole sentences.
    estimate: how many accepted lines the files hold, with its 95 % interval; None after a scan.
    """

    lines: tuple[Line, ...]
    aside: tuple[SetAside, ...]
    method: Literal["blocks", "scan"]
    n_tries: int = 0
    n_restarts: int = 0
    bounds: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    estimate: tuple[float, float, float] | None = None


def sample_lines(
    paths: Sequence[Path],
    n: int,
    *,
    seed: int,
    rules: Rules | None = None,
    block_bytes: int = BLOCK_BYTES,
    scan_below_bytes: int = SCAN_BELOW_BYTES,
) -> Sample:
    """Return n lines, each set of n accepted lines of all files being equally likely.

    Blank lines, and lines that `rules` set aside, are no members of the population; where it has
    fewer than n members all of them are returned, and a note says so. Deterministic in `seed`,
    `n`, the names' order and the files.

    Raises:
        BadFile: a file is missing, binary or damaged, or no file holds a line of text.
        BadRecord: there are lines, but not one that the rules accept.
    """
    rules = rules or Rules()
    sources = [open_source(path) for path in paths]
    verdict = partial(_judge, rules=rules)
    in_lines = all(source.in_lines for source in sources)
    if in_lines and sum(source.size_bytes for source in sources) >= scan_below_bytes:
        generator = Random(derive_seed(seed, "corpus", "blocks"))
        drawn = draw_lines(sources, n, verdict, generator, block_bytes=block_bytes)
        if drawn is not None:
            return Sample(
                tuple(drawn.lines),
                tuple(drawn.aside),
                "blocks",
                drawn.n_tries,
                drawn.n_restarts,
                tuple(drawn.bounds),
                estimate=_estimate(drawn),
            )
    generator = Random(derive_seed(seed, "corpus", "scan"))
    scan = reservoir(sources, n, verdict, generator)
    if not scan.lines:
        raise _nothing(paths, scan.n_seen, scan.aside, rules)
    notes: tuple[str, ...] = ()
    if len(scan.lines) < n:
        found = len(scan.lines)
        notes = (f"{n} lines were asked for; the files hold {found} that qualify: all are taken.",)
    lines = generator.sample(scan.lines, len(scan.lines))
    return Sample(tuple(lines), tuple(scan.aside), "scan", notes=notes)


def _judge(source: Source, offset: int, raw: bytes, *, rules: Rules) -> Line | SetAside | None:
    return judge(source, offset, raw, rules)


def _estimate(drawn: Draw) -> tuple[float, float, float]:
    """Return N = S p and its interval; p is the share of tries that hit an accepted line."""
    share = drawn.n_hits / drawn.n_tries
    spread = 1.96 * math.sqrt(share * (1 - share) / drawn.n_tries)
    value, half = drawn.n_cells * share, drawn.n_cells * spread
    return value, max(value - half, 0.0), value + half


def _nothing(
    paths: Sequence[Path], n_seen: int, aside: Sequence[SetAside], rules: Rules
) -> BadFile | BadRecord:
    where = ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    if not n_seen:
        return BadFile(
            "an empty corpus: no line of text in it", where=where, fix="name a file with text"
        )
    counted = Counter(line.reason for line in aside).most_common(3)
    reasons = "; ".join(f"{reason} ({count})" for reason, count in counted)
    asked = ", ".join(rules.languages)
    first = (
        next((line for line in aside if line.reason == counted[0][0]), None) if counted else None
    )
    told = others_in(aside).most_common(3)
    if told and sum(n for _, n in told) > len(aside) / 2:
        return BadRecord(_in_others(told, n_seen, rules), where=where, fix=_other_fix(told[0][0]))
    return BadRecord(
        f"none of {n_seen} lines qualifies for {asked}" + (f": {reasons}" if reasons else ""),
        where=f"{first.file}, byte {first.offset}" if first else where,
        fix=(first.detail if first and first.detail else None)
        or "ask for the language that the files are in, or lower the minimum length",
    )


def _in_others(told: Sequence[tuple[str, int]], n_seen: int, rules: Rules) -> str:
    asked = " or ".join(LANGUAGE_NAMES[lang] for lang in rules.languages)
    counted = ", ".join(f"{name} ({n})" for name, n in told)
    return f"none of {n_seen} lines is in {asked}; by their script and words they are in {counted}"


def _other_fix(name: str) -> str:
    codes = {language: lang for lang, language in LANGUAGE_NAMES.items()}
    if name in codes:
        return f"ask for it: --languages {codes[name]}; in a study --set languages={codes[name]}"
    carried = ", ".join(LANGUAGE_NAMES.values())
    fix = f"prompts, questions and checks exist for {carried}: give text in one of them"
    if name in SAME_SCRIPT:
        fix += f"; to take these lines as {SAME_SCRIPT[name]} all the same, --keep-others"
    return fix
