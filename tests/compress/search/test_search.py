"""A table measured on a tiny decoder, taken up again from its journal, and searched."""

from pathlib import Path

import numpy as np
import pytest

from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.replaced import matrix
from seemant.compress.search.budget import best_under
from seemant.compress.search.groups import fixed_bytes, groups_of
from seemant.compress.search.measure import Bench, measured_table
from seemant.compress.search.search import search_best, search_fewest
from seemant.core.errors import BadConfig
from seemant.core.journal import Journal
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.tensor_format import Format, fit_format, snap_format, value_format
from seemant.models.decoder.decoder import Decoder
from seemant.models.names import to_gguf
from tests.compress.evaluate.tiny_decoders import tiny_decoder, tiny_sequences

MENU = ("q8_0", "q5_0", "q4_0")


class Rounded:
    """Nearest values of a decoder's own matrices; counts how often it is asked."""

    def __init__(self, decoder: Decoder) -> None:
        self.weights = {
            name: matrix(decoder, name).copy()
            for name in (to_gguf(hf, "llama") for hf in decoder.shape.tensors())
        }
        self.asked = 0

    def __call__(self, name: str, format: Format) -> np.ndarray:
        self.asked += 1
        params = fit_format(self.weights[name], format)
        return value_format(snap_format(self.weights[name], params), params)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Decoder, Rounded, Path]:
    decoder = tiny_decoder()
    rounded = Rounded(decoder)
    tensors = {n: TensorData("F32", w.shape, w) for n, w in rounded.weights.items()}
    write_gguf(tmp_path / "m.gguf", {"general.architecture": "llama"}, tensors)
    return decoder, rounded, tmp_path / "m.gguf"


def test_a_table_is_measured_once_searched_and_answered(
    model: tuple[Decoder, Rounded, Path], tmp_path: Path
) -> None:
    decoder, rounded, path = model
    file = open_gguf(path)
    groups = groups_of(file, bands=1)
    assert {g.name for g in groups} == {
        "token_embd", "attn_in/0-2", "attn_out/0-2", "mlp_in/0-2", "mlp_mid/0-2"
    }  # fmt: skip
    assert {name for g in groups for name in g.tensors} == {
        name for name, t in file.tensors.items() if len(t.shape) == 2
    }
    fixed = fixed_bytes(file, groups)
    reference = Reference.of(decoder, tiny_sequences(chunks=2), marks=(1,))
    low = {g.name: "q4_0" for g in groups}
    with Journal(tmp_path / "journal.jsonl") as journal:
        bench = Bench(decoder, reference, groups, rounded, journal, method="rtn")
        table = measured_table(bench, menu=MENU, low=low)
        n = len(journal.entries)
        # a group and format each, all low, all low but one
        assert n == 5 * 3 + 1 + 5 and len(table.company) == 5
        found = search_best(bench, table, fixed + 100_000, fixed=fixed, mixes=4)
    for name, weight in rounded.weights.items():  # every swap was undone
        assert (matrix(decoder, name) == weight).all()
    assert found.allocation.n_bytes <= fixed + 100_000
    assert found.worst == pytest.approx(max(found.kld.values())) and found.worst > 0
    assert found.interaction is not None and len(found.interaction.measured) == 4
    asked = rounded.asked
    with Journal(tmp_path / "journal.jsonl") as journal:
        bench = Bench(decoder, reference, groups, rounded, journal, method="rtn")
        assert measured_table(bench, menu=MENU, low=low) == table
        assert rounded.asked == asked  # all of it came from the journal
        Bench(decoder, reference, groups, rounded, journal, method="gptq").kld(low)
        assert rounded.asked > asked  # which is not taken for another method's
        limit = 30 * max(best_under(table, 10**9, fixed=fixed).kld.values())
        small = search_fewest(bench, table, limit, fixed=fixed, mixes=0)
        with pytest.raises(BadConfig, match="1e-09"):
            search_fewest(bench, table, 1e-9, fixed=fixed, mixes=0)
        tight = min(max(row.kld.values()) for row in table.alone if row.format == "q8_0") * 5
        try:  # adding promises more than it keeps, or not: never a file beyond the limit
            assert search_fewest(bench, table, tight, fixed=fixed, mixes=0).worst <= tight
        except BadConfig as error:
            assert "nats a token" in error.what
    assert small.worst <= limit
    assert small.allocation.n_bytes < best_under(table, 10**9, fixed=fixed).n_bytes


def test_more_bands_than_layers_are_layers(model: tuple[Decoder, Rounded, Path]) -> None:
    groups = groups_of(open_gguf(model[2]), bands=9)
    assert "attn_in/2" in {g.name for g in groups} and len(groups) == 1 + 4 * 3
