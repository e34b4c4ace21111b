"""Filling the cost table: swap, measure, put back; every measurement lands in a journal at once."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.compress.evaluate.damage import damage
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.replaced import replaced
from seemant.compress.search.groups import MENU, Group
from seemant.compress.search.table import Row, Table
from seemant.core.journal import Journal
from seemant.core.progress import progress
from seemant.formats.tensor_format import Format, format_of
from seemant.models.decoder.decoder import Decoder

Values = Callable[[str, Format], NDArray[np.float32]]
"""(GGUF name, format) -> the tensor's rounded values, GGUF layout: the method is the caller's."""
FLOAT = "float"  # a group that stays as the reference has it


class Bench:
    """A decoder, its reference and rounded values: measures assignments, each once a journal.

    method: names how the values are made; with the reference's fingerprint it is part of a kept
    measurement's key, so a journal of another run is never read as this one's.
    """

    def __init__(
        self,
        decoder: Decoder,
        reference: Reference,
        groups: Sequence[Group],
        values: Values,
        journal: Journal,
        *,
        method: str,
    ) -> None:
        self.decoder, self.reference, self.values = decoder, reference, values
        self.groups, self.journal = tuple(groups), journal
        self._key = {"method": method, "reference": reference.fingerprint()}

    def kld(self, formats: Mapping[str, str]) -> dict[str, float]:
        """Return the mean KLD by language of group -> format; groups left out stay float."""
        chosen = {g: f for g, f in sorted(formats.items()) if f != FLOAT}
        entry = self._key | {"formats": chosen}
        for known in self.journal.entries:
            if {key: known.get(key) for key in entry} == entry:
                return dict(known["kld"])
        swapped = {
            name: self.values(name, format_of(chosen[group.name]))
            for group in self.groups
            if group.name in chosen
            for name in group.tensors
        }
        with replaced(self.decoder, swapped):
            found = damage(self.decoder, self.reference, changed=swapped).means()
        self.journal.append(entry | {"kld": found})
        return found


def measured_table(
    bench: Bench,
    *,
    menu: Sequence[str] = MENU,
    menus: Mapping[str, Sequence[str]] | None = None,
    low: Mapping[str, str] | None = None,
) -> Table:
    """Return the table of a bench, made or taken from its journal.

    menu: formats asked for; those that do not divide a group's rows fall away. menus: another menu
    for some groups (the embedding's, say). low: group -> format of the all-low baseline, which adds
    one measurement a group; None: no second view.

    Raises:
        BadConfig: a group that no format of its menu fits.
    """
    found = {g.name: g.menu((menus or {}).get(g.name, menu)) for g in bench.groups}
    total = sum(len(each) for each in found.values()) + (len(bench.groups) + 1 if low else 0)
    alone, company = [], []
    with progress("cost table", total, "measurements") as tick:
        for group in bench.groups:
            for format in found[group.name]:
                kld = bench.kld({group.name: format.name})
                alone.append(Row(group.name, format.name, group.n_bytes(format), kld))
                tick(note=f"{group.name} {format.name}")
        if low:
            whole = bench.kld(low)
            tick(note="all low")
            for group in bench.groups:
                without = bench.kld({g: f for g, f in low.items() if g != group.name})
                name = low[group.name]
                gain = {lang: whole[lang] - without[lang] for lang in whole}
                company.append(Row(group.name, name, group.n_bytes(format_of(name)), gain))
                tick(note=f"{group.name} restored")
    return Table(bench.groups, tuple(alone), tuple(company))
