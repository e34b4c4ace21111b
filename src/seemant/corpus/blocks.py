"""Uniform lines of plain files without a scan: (block, slot) rejection.

A file is cut into blocks of B bytes. A line belongs to the block that holds the line feed before
it (the first line of a file, to the first block). With K_f blocks in file f and M_f an upper
bound on the lines of one of its blocks, there are

    S = sum_f K_f M_f        cells (file, block, slot)

A try draws one cell uniformly and reads that block. If the block has more lines than `slot`, the
slot-th line is hit, else nothing is. Each line owns exactly one cell, so each is hit with
probability 1/S, wherever it stands and however long it is. Tries go on until n different lines
were hit; a random n of them are kept. A blank line, or one that the rules set aside, is not a
member of the population: hitting it is a miss. M_f comes from a pilot; a visited block that
exceeds it starts the whole sample again with a larger one. `docs/methods/sampling.md` has the
proof, the expected cost and what the assumption on M_f leaves open.
"""

import math
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from random import Random

from seemant.core.sources import Source
from seemant.corpus.reservoir import Judge
from seemant.corpus.rules import Line, SetAside

BLOCK_BYTES = 1 << 12  # a page: random reads cost no more than they must
PILOT_BLOCKS = 1024  # shared among the files by size
PILOT_BLOCKS_A_FILE = 64
MARGIN = 1.25  # M_f over the most lines that the pilot saw in a block
GROWTH = 1.5  # M_f over its last value, at least, when it was exceeded
MAX_SHARE = 0.1  # of the lines: a larger sample is cheaper by a full pass
_AHEAD = 32  # blocks asked of the disk before they are needed


@dataclass(slots=True)
class Draw:
    """The result: lines in no useful order, what was set aside, and what it took."""

    lines: list[Line] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    n_tries: int = 0
    n_restarts: int = 0
    bounds: list[int] = field(default_factory=list)
    n_hits: int = 0
    n_cells: int = 1


class _BoundExceeded(Exception):
    def __init__(self, file: int, n_lines: int) -> None:
        super().__init__(f"file {file} has a block of {n_lines} lines")
        self.file = file
        self.n_lines = n_lines


def draw_lines(
    sources: Sequence[Source],
    n: int,
    judge: Judge,
    generator: Random,
    *,
    block_bytes: int = BLOCK_BYTES,
    pilot_blocks: int = PILOT_BLOCKS,
    max_share: float = MAX_SHARE,
    max_passes: float = 1.0,
) -> Draw | None:
    """Return n lines, uniform without replacement over the accepted lines of plain files.

    None means that a full pass is the cheaper way: n is more than `max_share` of the lines, or so
    few tries hit an accepted line that more blocks would be read than in `max_passes` passes.
    """
    n_blocks = [-(-source.size_bytes // block_bytes) for source in sources]
    bounds, n_lines = _pilot(sources, n_blocks, block_bytes, pilot_blocks, generator)
    if n > max_share * n_lines:
        return None
    budget = max_passes * sum(n_blocks)
    tries = restarts = 0
    while True:
        rounds = _Rounds(sources, n_blocks, bounds, block_bytes, judge)
        try:
            while len(rounds.lines) < n:
                # The size of a round depends on counts only, never on which lines were hit.
                hit_rate = (len(rounds.lines) + 1) / (rounds.n_tries + 1)
                if not rounds.n_tries:
                    hit_rate = max(n_lines / rounds.n_cells, 1e-9)
                size = int(1.05 * (n - len(rounds.lines)) / hit_rate) + 16
                if tries + size > budget:
                    return None
                tries += size
                rounds.run(size, generator)
        except _BoundExceeded as exceeded:
            grown = max(GROWTH * bounds[exceeded.file], MARGIN * exceeded.n_lines)
            bounds[exceeded.file] = math.ceil(grown)
            restarts += 1
            continue
        hits = [rounds.lines[key] for key in sorted(rounds.lines)]
        return Draw(
            generator.sample(hits, n),
            rounds.aside,
            rounds.n_tries,
            restarts,
            bounds,
            rounds.n_hits,
            rounds.n_cells,
        )


class _Rounds:
    """Tries under fixed bounds: the lines hit so far, by (file, offset)."""

    def __init__(
        self,
        sources: Sequence[Source],
        n_blocks: Sequence[int],
        bounds: Sequence[int],
        block_bytes: int,
        judge: Judge,
    ) -> None:
        self.lines: dict[tuple[int, int], Line] = {}
        self.aside: list[SetAside] = []
        self.n_tries = 0
        self.n_hits = 0  # of accepted lines, repeated hits of the same one too
        self._sources, self._bounds, self._block_bytes = sources, list(bounds), block_bytes
        self._n_blocks = list(n_blocks)
        cells = (k * m for k, m in zip(n_blocks, bounds, strict=True))
        self._ends = list(accumulate(cells))  # of each file's cells in the numbering of all
        self.n_cells = self._ends[-1]
        self._judge = judge
        self._passed: set[tuple[int, int]] = set()

    def run(self, n_tries: int, generator: Random) -> None:
        """Make so many tries, in the order in which they lie on the disk.

        Raises:
            _BoundExceeded: a visited block has more lines than its file's bound.
        """
        self.n_tries += n_tries
        cells = sorted(generator.randrange(self.n_cells) for _ in range(n_tries))
        for file, group in groupby(cells, key=lambda cell: bisect_right(self._ends, cell)):
            first = self._ends[file - 1] if file else 0
            places = [divmod(cell - first, self._bounds[file]) for cell in group]
            blocks = [block for block, _ in places]
            visits = _visit(self._sources[file], blocks, self._block_bytes)
            bound, final = self._bounds[file], self._n_blocks[file] - 1
            for (index, slot), (descriptor, data) in zip(places, visits, strict=True):
                n_lines = count_lines(data, first=index == 0, last=index == final)
                if n_lines > bound:
                    raise _BoundExceeded(file, n_lines)
                if slot < n_lines:  # most tries end here: a miss costs a read and a count
                    self._hit(file, descriptor, index, slot, data)

    def _hit(self, file: int, descriptor: int, index: int, slot: int, block: bytes) -> None:
        source = self._sources[file]
        start = find_line(block, slot, first=index == 0)
        key = (file, index * self._block_bytes + start)
        if key in self.lines:
            self.n_hits += 1
            return  # without replacement
        if key in self._passed:
            return
        raw = _complete(descriptor, key[1], block[start:], source.limit_bytes)
        blank = not raw or raw.isspace()
        verdict = None if blank else self._judge(source, key[1], raw.rstrip(b"\r"))
        if isinstance(verdict, Line):
            self.lines[key] = verdict
            self.n_hits += 1
            return
        self._passed.add(key)
        if verdict is not None:
            self.aside.append(verdict)


def count_lines(block: bytes, *, first: bool, last: bool) -> int:
    """Return how many lines belong to a block: blank ones too, they are told apart when hit.

    first, last: whether it is the first block of its file, which owns the first line, and the
    last, where nothing follows a final line feed.
    """
    return block.count(b"\n") + first - (last and block.endswith(b"\n"))


def find_line(block: bytes, slot: int, *, first: bool) -> int:
    """Return where in the block the slot-th of its lines begins (its length: in the next block)."""
    feeds = slot if first else slot + 1
    return len(block) - len(block.split(b"\n", feeds)[-1]) if feeds else 0


def _pilot(
    sources: Sequence[Source],
    n_blocks: Sequence[int],
    block_bytes: int,
    pilot_blocks: int,
    generator: Random,
) -> tuple[list[int], float]:
    """Return the bound M_f of each file, and an estimate of the number of lines in all."""
    bounds, n_lines, total = [], 0.0, sum(n_blocks)
    for source, count in zip(sources, n_blocks, strict=True):
        share = max(PILOT_BLOCKS_A_FILE, round(pilot_blocks * count / max(total, 1)))
        whole = share >= count
        picks = (
            list(range(count))
            if whole
            else sorted(generator.randrange(count) for _ in range(share))
        )
        visits = _visit(source, picks, block_bytes)
        counts = [
            count_lines(block, first=index == 0, last=index == count - 1)
            for index, (_, block) in zip(picks, visits, strict=True)
        ]
        most = max(counts, default=0)
        bounds.append(max(most, 1) if whole else math.ceil(MARGIN * most) + 1)
        n_lines += count * sum(counts) / max(len(counts), 1)
    return bounds, n_lines


def _visit(source: Source, blocks: Sequence[int], block_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Give (descriptor, block) for ascending block numbers of a file."""
    descriptor = os.open(source.path, os.O_RDONLY)
    try:
        _advise(descriptor, 0, 0, "POSIX_FADV_RANDOM")  # no read-ahead beyond what is asked for
        for at, block in enumerate(blocks):
            if at % _AHEAD == 0:
                ahead = (
                    blocks[at : at + 2 * _AHEAD]
                    if at == 0
                    else blocks[at + _AHEAD : at + 2 * _AHEAD]
                )
                for wanted in ahead:
                    _advise(descriptor, wanted * block_bytes, block_bytes, "POSIX_FADV_WILLNEED")
            yield descriptor, os.pread(descriptor, block_bytes, block * block_bytes)
    finally:
        os.close(descriptor)


def _complete(descriptor: int, offset: int, raw: bytes, limit_bytes: int) -> bytes:
    """Return the line that begins at `offset`, of which `raw` is read already, up to the limit."""
    while b"\n" not in raw and len(raw) < limit_bytes:
        more = os.pread(descriptor, BLOCK_BYTES, offset + len(raw))
        if not more:
            break
        raw += more
    return raw.partition(b"\n")[0][:limit_bytes]


def _advise(descriptor: int, offset: int, length: int, advice: str) -> None:
    if hasattr(os, "posix_fadvise"):  # absent on macOS: only speed is lost
        os.posix_fadvise(descriptor, offset, length, getattr(os, advice))
