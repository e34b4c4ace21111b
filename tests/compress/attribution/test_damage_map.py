"""Every cell against a decoder that was changed by hand; a planted layer must light up."""

import re
from collections.abc import Iterable

import pytest
import torch

from seemant.compress.attribution.cells import ALL, ALPHA, EMBEDDING, KINDS, LAYER, OUTPUT, Cell
from seemant.compress.attribution.damage_map import outcomes, plan_cells, reference_states
from seemant.compress.attribution.decoders import Pair
from seemant.compress.attribution.explain import explain
from seemant.compress.attribution.reading import reading
from seemant.compress.attribution.scoring import chunk_sums
from seemant.compress.attribution.summary import summarise
from seemant.compress.attribution.table import damage_table
from seemant.compress.attribution.text import Text
from seemant.compress.attribution.twins import twin_weight
from seemant.stats.bootstrap import Floats
from tests.compress.attribution import pairs


def run(pair: Pair, text: Text, cells: Iterable[Cell]) -> dict[Cell, Floats]:
    reference = reference_states(pair, text)
    return {
        found.cell: chunk_sums(pair, text, reference, found)
        for found in outcomes(pair, text, list(cells), 0)
    }


@pytest.mark.parametrize("tied", [True, False])
def test_every_cell_is_the_model_with_those_weights(tied: bool) -> None:
    text, pair = pairs.text(2, 9), pairs.pair(2, tied=tied)
    with torch.no_grad():  # an embedding and a head that differ, too
        for name in ["model.embed_tokens"] if tied else ["model.embed_tokens", "lm_head"]:
            module = pair.candidate.get_submodule(name)
            module.weight.copy_(pairs.rounded(module.weight))
    cells = plan_cells(pair, remove=True, twins=True, kinds=True)
    assert len(set(cells)) == len(cells) == 1 + 2 * (2 - tied) + 2 * 7 + 2 * (4 + 7)
    found = run(pair, text, cells)
    assert set(found) == set(cells)
    for cell in cells:
        made = by_hand(pair, cell, tied)
        assert found[cell] == pytest.approx(
            pairs.naive_kld(pair.reference, made, text), rel=1e-3, abs=1e-6
        ), cell


def by_hand(pair: Pair, cell: Cell, tied: bool):  # type: ignore[no-untyped-def]
    """A new decoder with the weights that the cell asks for, by name."""
    shape = pairs.shape(2, tied=tied)
    ours = {n: tensor_of(pair.reference, n) for n in shape.tensors()}
    theirs = {n: tensor_of(pair.candidate, n) for n in shape.tensors()}
    host, guest = (theirs, ours) if cell.how in ("remove", "all") else (ours, theirs)
    made = dict(host)
    for name in made:
        if cell.how != "all" and concerns(cell, name):
            made[name] = guest[name]
            if cell.how in ("noise", "permuted") and made[name].ndim == 2:
                stem = name.removesuffix(".weight")
                made[name] = twin_weight(host[name], guest[name], cell.how, 0, stem)
    return pairs.frozen_decoder(pairs.state_weights(shape, made), "float", "float", "float32")


def concerns(cell: Cell, name: str) -> bool:
    if not name.startswith("model.layers."):
        places = {"model.embed_tokens.weight": EMBEDDING, "lm_head.weight": OUTPUT}
        return places.get(name) == cell.site
    layer, part = int(name.split(".")[2]), ".".join(name.split(".")[3:-1])
    if cell.layer not in (None, layer) or cell.site in (EMBEDDING, OUTPUT):
        return False
    return cell.site == LAYER or KINDS.get(cell.site) == part


def tensor_of(model, name: str) -> torch.Tensor:  # type: ignore[no-untyped-def]
    module = model.get_submodule(name.removesuffix(".weight"))
    return (module.matrix.weight if hasattr(module, "matrix") else module.weight).clone()


def test_both_models_are_as_before_when_the_map_is_done() -> None:
    pair, text = pairs.pair(3), pairs.text(2)
    before = [tensor_of(m, n) for m in (pair.reference, pair.candidate) for n in m.linears()]
    run(pair, text, plan_cells(pair, remove=True, twins=True, kinds=True))
    after = [tensor_of(m, n) for m in (pair.reference, pair.candidate) for n in m.linears()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_planted_layer_lights_up() -> None:
    text = pairs.text(12)
    planted, plain = (pairs.pair(8, planted=p, tied=False, even=True) for p in (True, False))
    for pair, lit in ((planted, True), (plain, False)):
        sums = run(pair, text, plan_cells(pair, remove=True, twins=False, kinds=False))
        rows = damage_table(sums, text, 0)
        columns = explain(pair, text)
        errors = sorted({c.relative_error or 0 for c in columns})
        told = reading(rows, summarise(sums, columns, text, 0), folded=False)
        for how, begin in (("insert", "Compressed alone"), ("remove", "Restored alone")):
            for lang in text.languages:
                own = [r for r in rows if (r.how, r.site, r.lang) == (how, LAYER, lang)]
                top, second, *_ = sorted(own, key=lambda r: -r.kld)
                assert top.q is not None
                assert (top.layer == pairs.PLANTED and top.q <= ALPHA) == lit
                assert (top.kld > 10 * second.kld) == lit
            said = f"{begin}, layers? {pairs.PLANTED} "
            assert sum(bool(re.match(said, s.text)) for s in told) == (2 if lit else 0)
        assert (errors[-1] > 2 * errors[-2]) == lit


def test_an_unchanged_variant_costs_nothing_anywhere() -> None:
    given = pairs.pair(3)
    pair, text = Pair(given.reference, pairs.pair(3).reference), pairs.text(8)
    sums = run(pair, text, plan_cells(pair, remove=True, twins=True, kinds=False))
    assert all(not each.any() for cell, each in sums.items() if cell.how not in ("noise",))
    told = reading(
        damage_table(sums, text, 0), summarise(sums, explain(pair, text), text, 0), folded=False
    )
    assert any("do not tell the languages apart" in s.text for s in told)
    assert not any("Compressed alone, layer" in s.text for s in told)


def test_a_folded_variant_is_exchanged_by_whole_layers_only() -> None:
    pair = pairs.pair(3)
    cells = plan_cells(
        Pair(pair.reference, pair.candidate, folded=True), remove=True, twins=True, kinds=True
    )
    assert {c.site for c in cells} == {ALL, EMBEDDING, LAYER}
    assert {c.how for c in cells} == {"all", "insert", "remove"}


def test_twins_have_the_error_s_size() -> None:
    w, rounded = torch.randn(6, 8), torch.randn(6, 8)
    for how in ("noise", "permuted"):
        error = twin_weight(w, rounded, how, 0, "m") - w
        assert torch.linalg.norm(error) == pytest.approx(float(torch.linalg.norm(rounded - w)))
        assert not torch.allclose(error, rounded - w)
    columns = {tuple(c) for c in (rounded - w).T.numpy().round(4).tolist()}
    moved = twin_weight(w, rounded, "permuted", 0, "m") - w
    assert {tuple(c) for c in moved.T.numpy().round(4).tolist()} == columns
