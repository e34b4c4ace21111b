"""The cost table: what each group of tensors costs in each format, by language, measured.

    alone:    D+ = KLD(only this group in the format)                     isolated sensitivity
    company:  D- = KLD(all low) - KLD(all low, this group restored)       what giving it back gains

Damages add only while they are small, so both are measured; `costs` reads either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seemant.compress.search.groups import Group

View = Literal["alone", "company"]
Floats = NDArray[np.float64]
MOST, LEAST = 4.0, 0.25  # how far company or mixes may move a cost: beyond is mostly noise


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. kld: nats a token by language. n_bytes: of the group in this format."""

    group: str
    format: str
    n_bytes: int
    kld: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a model; `groups` in order.

    alone: D+ of every group and format. company: D- of every group from its low format, or empty.
    """

    groups: tuple[Group, ...]
    alone: tuple[Row, ...]
    company: tuple[Row, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in order."""
        return tuple(self.alone[0].kld)

    def options(self, group: str) -> tuple[Row, ...]:
        """Return what a group may become, fewest bytes first."""
        found = [row for row in self.alone if row.group == group]
        return tuple(sorted(found, key=lambda row: (row.n_bytes, row.format)))

    def sizes(self) -> list[NDArray[np.int64]]:
        """Return the bytes of every option, group by group."""
        return [np.array([row.n_bytes for row in self.options(g.name)]) for g in self.groups]

    def costs(
        self, view: View = "alone", factors: Mapping[str, float] | None = None
    ) -> list[Floats]:
        """Return the cost of every option, (options, languages) nats a token, group by group.

        view "company": D+ times D-/D+ of the group's low format, a factor held within [1/4, 4].
        factors: of `predict`, one a format.
        """
        found = []
        for group in self.groups:
            rows = self.options(group.name)
            cost = np.array([[max(row.kld[lang], 0.0) for lang in self.languages] for row in rows])
            if factors:
                cost *= np.array([[factors.get(row.format, 1.0)] for row in rows])
            found.append(cost * self._factor(group.name) if view == "company" else cost)
        return found

    def formats(self, choice: Sequence[int]) -> dict[str, str]:
        """Return group -> format of a choice (an option's index for each group)."""
        return {
            group.name: self.options(group.name)[index].format
            for group, index in zip(self.groups, choice, strict=True)
        }

    def by_tensor(self, formats: Mapping[str, str]) -> dict[str, str]:
        """Return GGUF name -> format of group -> format."""
        return {name: formats[group.name] for group in self.groups for name in group.tensors}

    def _factor(self, group: str) -> Floats:
        low = next((row for row in self.company if row.group == group), None)
        if low is None:
            return np.ones(len(self.languages))
        alone = next((row for row in self.options(group) if row.format == low.format), None)
        if alone is None:  # a menu without the baseline's format: nothing to compare it with
            return np.ones(len(self.languages))
        both = [(low.kld[lang], alone.kld[lang]) for lang in self.languages]
        return np.array([np.clip(m / p, LEAST, MOST) if p > 0 else 1.0 for m, p in both])
