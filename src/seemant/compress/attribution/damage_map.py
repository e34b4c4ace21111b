"""The interventions of a damage map, and the final states that each of them leads to.

For a layer l (or a kind of matrix) and a language, with KLD against the reference:

    insert    D+ = KLD(only l compressed)                       what l costs alone
    remove    D- = KLD(all) - KLD(all but l restored)           what restoring l alone gives back
    noise     KLD(only l, its error replaced by Gaussian noise of the same Frobenius norm)
    permuted  KLD(only l, its error's columns in another order)

Both models are walked layer by layer together, so the states at every layer's input are at hand
and a cell costs the layers behind it: (L - l) / L of a forward.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seemant.compress.attribution.cells import (
    ALL,
    EMBEDDING,
    KINDS,
    LAYER,
    OUTPUT,
    Cell,
    How,
)
from seemant.compress.attribution.decoders import (
    Pair,
    blocks_of,
    linear_like,
    linears_of,
    swapped,
    weight_of,
)
from seemant.compress.attribution.text import Text
from seemant.compress.attribution.twins import TWINS, twin_weight
from seemant.models.decoder.block import Block, Rows
from seemant.models.decoder.decoder import Decoder


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Where an intervention led: states after the last norm (N, d), and whose head reads them."""

    cell: Cell
    states: Tensor
    candidate_head: bool


def plan_cells(pair: Pair, *, remove: bool, twins: bool, kinds: bool) -> list[Cell]:
    """Return the cells to be run. A folded candidate has those of whole blocks only."""
    both: tuple[How, ...] = ("insert", "remove") if remove else ("insert",)
    noises: tuple[How, ...] = ("noise", "permuted") if twins and not pair.folded else ()
    outside = [EMBEDDING] if pair.reference.shape.tied else [EMBEDDING, OUTPUT]
    cells = [Cell(None, ALL, "all")]
    cells += [Cell(None, site, how) for site in outside for how in both]
    if not pair.folded:
        cells += [Cell(None, kind, how) for kind in KINDS for how in both]
    for layer in range(pair.n_layers):
        cells += [Cell(layer, LAYER, how) for how in (*both, *noises)]
        if kinds and not pair.folded:
            cells += [Cell(layer, kind, "insert") for kind in KINDS]
    return cells


def reference_states(pair: Pair, text: Text) -> Tensor:
    """Return the reference's states after the last norm (N, d)."""
    rows = [pair.reference.rows_of(batch.lengths, batch.ids.device) for batch in text.batches]
    x = _through(blocks_of(pair.reference), _embedded(pair.reference, text), rows)
    return _last(pair.reference, x)


def outcomes(pair: Pair, text: Text, cells: Collection[Cell], seed: int) -> Iterator[Outcome]:
    """Yield the outcome of every cell, as the walk comes to it."""
    rows = [pair.reference.rows_of(batch.lengths, batch.ids.device) for batch in text.batches]
    ours, theirs = blocks_of(pair.reference), blocks_of(pair.candidate)
    x_ours, x_theirs = _embedded(pair.reference, text), _embedded(pair.candidate, text)
    yield from _outside(pair, x_ours, x_theirs, rows, cells)
    yield from _kinds(pair, x_ours, x_theirs, rows, cells)
    for layer in range(pair.n_layers):
        for cell in (c for c in cells if c.layer == layer):
            if cell.how == "remove":
                path = [ours[layer], *theirs[layer + 1 :]]
                found = _outcome(pair.candidate, cell, path, x_theirs, rows)
            elif cell.how == "insert" and cell.site == LAYER:
                path = [theirs[layer], *ours[layer + 1 :]]
                found = _outcome(pair.reference, cell, path, x_ours, rows)
            else:
                with swapped(pair.reference, _stand_ins(pair, cell, seed)):
                    found = _outcome(pair.reference, cell, ours[layer:], x_ours, rows)
            yield found
        x_ours = _through([ours[layer]], x_ours, rows)
        x_theirs = _through([theirs[layer]], x_theirs, rows)
    if (everything := Cell(None, ALL, "all")) in cells:
        yield _outcome(pair.candidate, everything, [], x_theirs, rows)


def _outside(
    pair: Pair,
    x_ours: Sequence[Tensor],
    x_theirs: Sequence[Tensor],
    rows: Sequence[Rows],
    cells: Collection[Cell],
) -> Iterator[Outcome]:
    """Yield what the table and the head do: one model's in the other. Tied, they go together."""
    tied = pair.reference.shape.tied
    for cell in (c for c in cells if c.layer is None and c.site in (EMBEDDING, OUTPUT)):
        host, guest, x = pair.reference, pair.candidate, (x_ours, x_theirs)
        if cell.how == "remove":
            host, guest, x = guest, host, (x_theirs, x_ours)
        states = _through(blocks_of(host), x[cell.site == EMBEDDING], rows)
        last = guest if tied or cell.site == OUTPUT else host
        yield Outcome(cell, _last(last, states), last is pair.candidate)


def _kinds(
    pair: Pair,
    x_ours: Sequence[Tensor],
    x_theirs: Sequence[Tensor],
    rows: Sequence[Rows],
    cells: Collection[Cell],
) -> Iterator[Outcome]:
    """Yield what a kind of matrix does in all layers at once."""
    for cell in (c for c in cells if c.layer is None and c.site in KINDS):
        names = [f"model.layers.{layer}.{KINDS[cell.site]}" for layer in range(pair.n_layers)]
        host, guest, x = pair.reference, pair.candidate, x_ours
        if cell.how == "remove":
            host, guest, x = guest, host, x_theirs
        with swapped(host, {name: guest.get_submodule(name) for name in names}):
            found = _outcome(host, cell, blocks_of(host), x, rows)
        yield found


def _stand_ins(pair: Pair, cell: Cell, seed: int) -> dict[str, nn.Module]:
    """Return the linears that stand in the reference's layer in this cell."""
    assert cell.layer is not None
    ours, theirs = (linears_of(each, cell.layer) for each in (pair.reference, pair.candidate))
    if cell.how in TWINS:
        return {
            name: linear_like(
                own, twin_weight(weight_of(own), weight_of(theirs[name]), cell.how, seed, name)
            )
            for name, own in ours.items()
        }
    name = f"model.layers.{cell.layer}.{KINDS[cell.site]}"
    return {name: theirs[name]}


def _outcome(
    decoder: Decoder,
    cell: Cell,
    path: Sequence[Block],
    x: Sequence[Tensor],
    rows: Sequence[Rows],
) -> Outcome:
    """Return where states lead along a path; the last norm and the head are the decoder's."""
    candidate = cell.how in ("remove", "all")
    return Outcome(cell, _last(decoder, _through(path, x, rows)), candidate)


@torch.inference_mode()
def _embedded(decoder: Decoder, text: Text) -> list[Tensor]:
    return [decoder.embed(batch.ids) for batch in text.batches]


@torch.inference_mode()
def _through(path: Sequence[Block], x: Sequence[Tensor], rows: Sequence[Rows]) -> list[Tensor]:
    found = []
    for states, own in zip(x, rows, strict=True):
        for block in path:
            states = block(states, own)
        found.append(states)
    return found


@torch.inference_mode()
def _last(decoder: Decoder, x: Sequence[Tensor]) -> Tensor:
    return torch.cat([decoder.model.norm(states) for states in x])
