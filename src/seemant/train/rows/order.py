"""The order of the data: every micro-batch is a pure function of settings and its number.

So the data cursor of a checkpoint is one integer, the step. An epoch is a random permutation;
epochs lie end to end and are cut into steps, those into micro-batches of so many rows; or each is
packed into bins of so many tokens. Rows are not grouped by
length: where nothing is padded that saves nothing, and it would bias which rows share a step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from seemant.core.errors import InputError
from seemant.core.seeds import rng
from seemant.train.rows.pack import first_fit_decreasing

# Bins' worth of rows that are packed together. 64 would leave less empty, but would put two thirds
# of a small data set's rows beside the same others in every epoch.
_WINDOW = 16

Batches = list[tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How an epoch is cut into micro-batches: `batch` rows each, or bins of `pack` tokens.

    Rows from number `replay_from` on are replay: an endless second stream, of which each epoch
    takes so many that they are `replay` of all tokens.
    """

    batch: int
    pack: int | None = None
    replay: float = 0.0
    replay_from: int | None = None


class Order:
    """An endless row of micro-batches over rows of the given lengths (in tokens).

    Raises:
        InputError: a row is longer than a bin.
    """

    def __init__(self, lengths: Sequence[int], cut: Cut, seed: int) -> None:
        if cut.pack is not None and max(lengths) > cut.pack:
            raise InputError(
                f"a row of {max(lengths)} tokens does not fit into {cut.pack}",
                where="--pack",
                fix=f"raise --pack to {max(lengths)}, or lower --max-length",
            )
        self.lengths, self.cut, self.seed = list(lengths), cut, seed
        own = len(lengths) if cut.replay_from is None else cut.replay_from
        self._own, self._replay = list(range(own)), list(range(own, len(lengths)))
        self._replayed = [(0, 0)]  # at the beginning of each epoch: replay rows, their tokens
        self._starts = [0]  # number of each epoch's first unit: a bin, or a single row
        self._epoch: tuple[int, Batches] = (-1, [])  # the one made last

    def epoch(self, number: int) -> Batches:
        """Return an epoch's micro-batches: indices, each own row exactly once."""
        while len(self._starts) <= number:  # where it begins depends on the ones before
            self._make(len(self._starts) - 1)
        if self._epoch[0] != number:
            self._make(number)
        return self._cut(self._epoch[1])

    def step(self, step: int, accumulation: int) -> Batches:
        """Return the micro-batches of optimiser step `step` (0 is the first); epochs run on.

        A step's rows come first, `batch` times `accumulation` of them, and are then cut: with the
        same product, every cut sees the same rows in the same steps. With bins a step is
        `accumulation` bins, and other bins are other steps. A step may hold the end of one epoch
        and the beginning of the next.
        """
        n = self._units(accumulation)
        return self._cut([self._unit(i) for i in range(step * n, (step + 1) * n)])

    def steps_in(self, epochs: float, accumulation: int) -> int:
        """Return the optimiser steps in which at least so many epochs are seen."""
        exact = Fraction(str(epochs))  # 1.1 as it was written, not its nearest binary number
        whole = int(exact)
        self.epoch(whole)
        rest = (exact - whole) * len(self._epoch[1])
        return max(1, math.ceil((self._starts[whole] + rest) / self._units(accumulation)))

    def _units(self, accumulation: int) -> int:
        return accumulation if self.cut.pack else self.cut.batch * accumulation

    def _cut(self, units: Batches) -> Batches:
        """Return micro-batches: bins as they are, rows so many together."""
        if self.cut.pack:
            return units
        size = self.cut.batch
        rows = [row for unit in units for row in unit]
        return [tuple(rows[i : i + size]) for i in range(0, len(rows), size)]

    def _unit(self, number: int) -> tuple[int, ...]:
        while self._starts[-1] <= number:
            self._make(len(self._starts) - 1)
        at = int(np.searchsorted(self._starts, number, side="right")) - 1
        if self._epoch[0] != at:
            self._make(at)
        return self._epoch[1][number - self._starts[at]]

    def _make(self, number: int) -> None:
        rows, after = self._rows(number)
        random = rng(self.seed, "order", number)
        rows = [rows[i] for i in random.permutation(len(rows))]
        batches: Batches = self._packed(rows) if self.cut.pack else [(row,) for row in rows]
        if self.cut.pack:  # windows and bins come out sorted by length
            batches = [batches[i] for i in random.permutation(len(batches))]
        self._epoch = (number, batches)
        if number + 1 == len(self._starts):
            self._starts.append(self._starts[-1] + len(batches))
            self._replayed.append(after)

    def _rows(self, number: int) -> tuple[list[int], tuple[int, int]]:
        taken, tokens = self._replayed[number]
        if not self._replay or not self.cut.replay:
            return list(self._own), (taken, tokens)
        share = self.cut.replay / (1 - self.cut.replay)
        wanted = share * sum(self.lengths[i] for i in self._own) * (number + 1) - 1e-6
        rows = list(self._own)
        while tokens < wanted:  # over all epochs so far, so that rounding does not add up
            lap, at = divmod(taken, len(self._replay))
            order = rng(self.seed, "replay", lap).permutation(len(self._replay))
            for index in order[at:]:
                if tokens >= wanted:
                    break
                row = self._replay[index]
                rows.append(row)
                taken, tokens = taken + 1, tokens + self.lengths[row]
        return rows, (taken, tokens)

    def _packed(self, rows: list[int]) -> Batches:
        room = self.cut.pack or 0
        batches: Batches = []
        window: list[int] = []
        tokens = 0
        for place, row in enumerate(rows, start=1):
            window.append(row)
            tokens += self.lengths[row]
            if tokens >= _WINDOW * room or place == len(rows):
                bins = first_fit_decreasing([self.lengths[i] for i in window], room)
                full = [tuple(window[i] for i in each) for each in bins]
                window = []
                if place < len(rows):  # the emptiest bin is filled up from the next window
                    window = list(
                        full.pop(min(range(len(full)), key=lambda i: self._size(full[i])))
                    )
                batches += full
                tokens = self._size(window)
        return batches

    def _size(self, rows: Sequence[int]) -> int:
        return sum(self.lengths[i] for i in rows)
