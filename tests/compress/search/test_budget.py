"""Questions to a table, and the errors of those that have no answer."""

import json

import pytest

from seemant.compress.search.budget import best_under, fewest_under, parse_size
from seemant.compress.search.groups import Group
from seemant.compress.search.predict import Interaction, fit_interaction, random_mixes
from seemant.compress.search.search import learnt, search_fewest
from seemant.compress.search.table import Row, Table
from seemant.core.errors import BadConfig
from seemant.formats.tensor_format import format_of

GROUPS = (
    Group("token_embd", {"token_embd.weight": (320, 64)}),
    Group("mlp_mid/0-1", {f"blk.{i}.ffn_down.weight": (64, 96) for i in range(2)}),
)
KLD = {
    "token_embd": {"q8_0": (0.01, 0.01), "q5_0": (0.30, 0.02), "q4_0": (4.0, 0.08)},
    "mlp_mid/0-1": {"q8_0": (0.005, 0.01), "q5_0": (0.02, 0.05), "q4_0": (0.1, 0.2)},
}

KLD_F16 = {"kn": 1e-5, "en": 1e-6}


def table(company: tuple[Row, ...] = ()) -> Table:
    rows = [
        Row(group.name, name, group.n_bytes(format_of(name)), {"kn": kn, "en": en})
        for group in GROUPS
        for name, (kn, en) in KLD[group.name].items()
    ]
    return Table(GROUPS, tuple(rows), company)


def test_the_worst_language_and_a_mean_choose_otherwise() -> None:
    fixed = 1000
    budget = fixed + 320 * 68 + 128 * 54 + 100  # one of the two may have eight bits
    worst = best_under(table(), budget, fixed=fixed)
    english = best_under(table(), budget, fixed=fixed, objective={"en": 1.0})
    assert worst.formats["token_embd"] == "q8_0" and worst.formats["mlp_mid/0-1"] == "q4_0"
    assert english.formats == {"token_embd": "q5_0", "mlp_mid/0-1": "q8_0"}
    assert worst.kld == {"kn": pytest.approx(0.11), "en": pytest.approx(0.21)}
    assert worst.n_bytes <= budget and worst.proved <= worst.objective
    assert worst.objective == pytest.approx(0.21) and english.gap == 0
    assert english.tensors["blk.1.ffn_down.weight"] == "q8_0"


def test_a_budget_below_the_smallest_file_says_the_smallest() -> None:
    least = 500 + 320 * 36 + 128 * 54
    with pytest.raises(BadConfig) as error:
        best_under(table(), least - 1, fixed=500)
    assert f"{least:,}" in str(error.value.fix)
    assert best_under(table(), least, fixed=500).n_bytes == least


def test_fewest_bytes_keep_every_language_within_the_limit_or_say_the_best() -> None:
    found = fewest_under(table(), 0.2, fixed=10)
    assert found.formats == {"token_embd": "q8_0", "mlp_mid/0-1": "q5_0"}
    assert found.objective == found.n_bytes and max(found.kld.values()) <= 0.2
    with pytest.raises(BadConfig, match=r"0\.001") as error:
        fewest_under(table(), 0.001)
    assert "0.02" in str(error.value.fix)


def test_f16_is_not_advised_where_the_menu_has_it() -> None:
    with pytest.raises(BadConfig) as error:
        fewest_under(table(), 0.001)
    assert "add f16 to the menu" in str(error.value.fix)
    finest = [Row(g.name, "f16", g.n_bytes(format_of("f16")), KLD_F16) for g in GROUPS]
    with pytest.raises(BadConfig) as error:
        fewest_under(Table(GROUPS, (*table().alone, *finest)), 1e-7)
    assert "add" not in str(error.value.fix) and "has f16 already" in str(error.value.fix)


def test_company_moves_costs_by_what_restoring_gained() -> None:
    low = {"kn": 8.0, "en": 0.16}
    row = Row("token_embd", "q4_0", GROUPS[0].n_bytes(format_of("q4_0")), low)
    costs = table((row,)).costs("company")[0]
    assert costs[0].tolist() == [8.0, 0.16] and costs[1].tolist() == [0.6, 0.04]


@pytest.mark.parametrize(
    ("text", "size"),
    [("240MB", 240_000_000), ("0.24 GB", 240_000_000), ("229MiB", 229 << 20), ("123", 123)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "240 pounds", "-3MB", "0"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="no size"):
        parse_size(text)


def test_strange_weights_are_named() -> None:
    with pytest.raises(BadConfig, match="'ta'"):
        best_under(table(), 10**9, objective={"ta": 1.0})


def test_menus_leave_out_what_no_row_or_file_can_hold() -> None:
    assert [f.name for f in GROUPS[1].menu(("q4_0", "q4_k", "int3-sym-g32"))] == ["q4_0"]
    with pytest.raises(BadConfig, match="96"):
        GROUPS[1].menu(("q4_k",))
    wide = Group("w", {"blk.0.ffn_down.weight": (64, 256)})
    assert [f.name for f in wide.menu(("q4_k", "q3_k"))] == ["q4_k", "q3_k"]
    assert wide.n_bytes(format_of("q4_k")) == 64 * 144


def fitted(truth: dict[str, float]) -> Interaction:
    """Return what mixes teach whose damages add by these factors a format."""
    made = table()
    mixes = random_mixes(made, 30, seed=1, cap=10)
    cost = {(r.group, r.format): r.kld for r in made.alone}
    measured = [
        {lang: sum(truth[f] * cost[g, f][lang] for g, f in mix.items()) for lang in made.languages}
        for mix in mixes
    ]
    return fit_interaction(made, mixes, measured)


def test_factors_a_format_are_found_again_from_mixes() -> None:
    truth = {"q8_0": 1.0, "q5_0": 1.6, "q4_0": 0.5}
    found = fitted(truth)
    assert found.factors == pytest.approx(truth, rel=1e-6)
    assert found.r2 > 0.999 > found.r2_adding and found.trusted


def test_factors_are_held_where_mixes_cannot_tell_formats_apart() -> None:
    found = fitted({"q8_0": 0.01, "q5_0": 1.0, "q4_0": 30.0}).factors
    assert all(0.25 - 1e-9 <= each <= 4 + 1e-9 for each in found.values())


def test_a_menu_without_the_baseline_s_format_has_no_second_view() -> None:
    low = Row("token_embd", "q4_1", 1, {"kn": 1.0, "en": 1.0})  # measured, and not on the menu
    assert best_under(table((low,)), 10**6, view="company").kld == best_under(table(), 10**6).kld


def test_a_limit_that_bad_factors_miss_is_met_by_the_plain_table() -> None:
    made = table()
    cost = {(r.group, r.format): r.kld for r in made.alone}
    mixes = {json.dumps(each, sort_keys=True) for each in random_mixes(made, 12, seed=0)}

    class Odd:  # what the random mixes cost says nothing about what the answers cost
        asked = 0

        def kld(self, mix: dict[str, str]) -> dict[str, float]:
            self.asked += 1
            odd = 30.0 if json.dumps(mix, sort_keys=True) in mixes and self.asked <= 12 else 1.0
            return {
                lang: odd * sum(cost[g, f][lang] for g, f in mix.items()) for lang in ("kn", "en")
            }

    found = search_fewest(Odd(), made, 0.021, mixes=12)  # type: ignore[arg-type]
    assert found.allocation.formats == {"token_embd": "q8_0", "mlp_mid/0-1": "q8_0"}
    assert found.worst <= 0.021


def test_mixes_without_damage_teach_nothing_and_stop_nothing() -> None:
    class Free:  # f16 of weights that were f16, say: half of the mixes change nothing
        def kld(self, mix: dict[str, str]) -> dict[str, float]:
            free = mix["token_embd"] == self.free
            return {"kn": 0.0 if free else 0.1, "en": 0.0 if free else 0.2}

        free = "q8_0"

    bench = Free()
    found = learnt(bench, table(), 30, 1)  # type: ignore[arg-type]
    assert found is not None and 3 <= len(found.measured) < 30
    bench.free = "none"
    assert learnt(bench, table(), 2, 1) is None
    everywhere = Free()
    everywhere.kld = lambda mix: {"kn": 0.0, "en": 0.0}  # type: ignore[method-assign]
    assert learnt(everywhere, table(), 12, 1) is None  # type: ignore[arg-type]


def test_damages_that_do_not_add_are_said_so() -> None:
    made = table()
    mixes = random_mixes(made, 12, seed=1, cap=10)
    measured = [{"kn": 10.0 ** (i % 3), "en": 10.0 ** -(i % 4)} for i in range(12)]
    found = fit_interaction(made, mixes, measured)
    assert not found.trusted and "only" in found.reading()
