"""Uniform lines by one full pass: for packed files, small files and large samples.

Algorithm L (Li 1994, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))").
Think of every line as holding a uniform number of its own; the reservoir keeps the n lines with
the smallest. `w` is the largest of them, and the gap to the next line whose number is below it is
geometric:

    gap = floor(log u / log(1 - w))        then    w <- w * u^(1/n)

Differs from the paper: a line that the rules set aside is looked at only when its number is small
enough; it is not a member of the population, so `w` stays and a new gap is drawn. The gap has no
memory, so the lines kept are uniform over those that the rules accept.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from seemant.core.sources import RawLine, Source, stream_lines
from seemant.corpus.rules import Line, SetAside

Judge = Callable[[Source, int, bytes], Line | SetAside | None]


@dataclass(slots=True)
class Scan:
    """The result of a pass: lines in no useful order, what was set aside, lines with text seen."""

    lines: list[Line] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    n_seen: int = 0


def reservoir(sources: Iterable[Source], n: int, judge: Judge, generator: Random) -> Scan:
    """Return n lines, uniform without replacement over all accepted lines; all where fewer exist.

    Raises:
        BadFile: packed data is damaged.
    """
    scan = Scan()
    w, wait = 1.0, 0  # wait: lines still to pass over before the next candidate
    for source in sources:
        for raw in stream_lines(source):
            scan.n_seen += 1
            if wait:
                wait -= 1
                continue
            verdict = _judged(source, raw, judge, scan)
            if verdict is None:
                wait = _gap(w, generator) if len(scan.lines) == n else 0
            elif len(scan.lines) < n:
                scan.lines.append(verdict)
                if len(scan.lines) == n:
                    w = _open_unit(generator) ** (1.0 / n)
                    wait = _gap(w, generator)
            else:
                scan.lines[generator.randrange(n)] = verdict
                w *= _open_unit(generator) ** (1.0 / n)
                wait = _gap(w, generator)
    return scan


def _judged(source: Source, raw: RawLine, judge: Judge, scan: Scan) -> Line | None:
    verdict = judge(source, *raw)
    if isinstance(verdict, SetAside):
        scan.aside.append(verdict)
        return None
    return verdict


def _open_unit(generator: Random) -> float:
    return 1.0 - generator.random()  # (0, 1]: its logarithm is finite


def _gap(w: float, generator: Random) -> int:
    if w >= 1.0:
        return 0
    return min(int(math.log(_open_unit(generator)) / math.log1p(-w)), 1 << 62)
