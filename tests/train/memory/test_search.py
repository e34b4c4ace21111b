"""The search ends within its limit, never touches what the user fixed, and says every step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import InputError
from seemant.train.config import MEMORY_FIELDS, TrainConfig
from seemant.train.memory.plan_text import search_text
from seemant.train.memory.search import MARGIN, fit_to, plan_for
from tests.train.memory.test_plan import GEMMA, NAMES, SHAPES


def asked(**settings: object) -> TrainConfig:
    return TrainConfig.model_validate({"memory_limit": 1e9, **settings})


@given(
    st.sampled_from(NAMES),
    st.floats(0.3e9, 20e9),
    st.integers(16, 1024),
    st.sets(st.sampled_from(["base", "batch", "accumulation", "checkpointing", "vocab_block"])),
    st.sampled_from(["float32", "bfloat16"]),
)
def test_it_never_returns_a_plan_over_the_limit_nor_changes_what_was_fixed(
    name: str, limit: float, tokens: int, fixed: set[str], compute: str
) -> None:
    values = {
        "base": "int8",
        "batch": 4,
        "accumulation": 2,
        "checkpointing": True,
        "vocab_block": 4096,
    }
    config = asked(compute=compute, **{field: values[field] for field in fixed})
    try:
        found = fit_to(limit, SHAPES[name], config, max_length=tokens)
    except InputError as error:
        assert "no plan fits" in error.what
        return
    assert found.plan.peak_bytes <= limit * (1 - MARGIN)
    for field in fixed:
        assert getattr(found.config, field) == values[field]
    rows = config.batch * config.accumulation
    assert found.config.batch * found.config.accumulation == rows
    for field in set(TrainConfig.model_fields) - set(MEMORY_FIELDS):
        assert getattr(found.config, field) == getattr(config, field)
    # The plan is of the settings that came with it.
    again = plan_for(SHAPES[name], found.config, tokens, malloc=found.plan.malloc)
    assert again == found.plan


def test_steps_come_in_order_and_it_stops_at_the_first_that_fits() -> None:
    limits = [20e9, 3.0e9, 2.0e9, 1.6e9, 1.25e9]
    taken = []
    for limit in limits:
        found = fit_to(limit, GEMMA, asked(compute="bfloat16"), max_length=256)
        taken.append([step.order for step in found.steps if step.outcome == "taken"])
        assert [step.order for step in found.steps if step.order != "up"] == sorted(
            step.order for step in found.steps if step.order != "up"
        )
    assert taken[0][0] == "1" and "2" not in taken[0]
    for more, fewer in zip(taken[2:], taken[1:], strict=False):
        assert set(fewer) <= set(more)
    assert {"5", "6"} <= set(taken[-1])


def test_rounding_is_the_last_resort_and_is_marked() -> None:
    found = fit_to(1.25e9, GEMMA, asked(compute="bfloat16"), max_length=256)
    orders = [step.order for step in found.steps]
    assert orders.index("5") > orders.index("2")
    assert all(step.rounds == (step.order in ("5", "6")) for step in found.steps)
    assert found.config.base in ("int8", "int4")


def test_with_room_it_goes_the_other_way_but_not_for_what_was_given() -> None:
    values = {"checkpointing": True, "base": "int4", "accumulation": 8}
    config = asked(compute="bfloat16").model_copy(update=values)
    config = TrainConfig.model_construct({"memory_limit"}, **config.model_dump())
    found = fit_to(40e9, GEMMA, config, max_length=64)
    assert not found.config.checkpointing
    assert found.config.base == "float"
    assert found.config.accumulation == 1 and found.config.batch == 16
    kept = asked(compute="bfloat16", checkpointing=True, base="int4", accumulation=8)
    found = fit_to(40e9, GEMMA, kept, max_length=64)
    assert found.config.checkpointing and found.config.base == "int4"
    assert found.config.accumulation == 8
    assert {step.outcome for step in found.steps if step.order == "up"} == {"fixed"}


def test_auto_begins_at_the_most_exact_and_may_be_rounded() -> None:
    config = asked(compute="bfloat16", base="auto", embedding="auto")
    assert fit_to(40e9, GEMMA, config, max_length=64).config.base == "float"
    found = fit_to(1.25e9, GEMMA, config, max_length=256)
    assert found.config.base != "auto" and found.config.embedding != "auto"


def test_a_smaller_plan_than_one_that_failed_takes_at_least_7_percent_less() -> None:
    first = fit_to(2e9, GEMMA, asked(compute="bfloat16"), max_length=256)
    second = fit_to(
        2e9,
        GEMMA,
        asked(compute="bfloat16"),
        max_length=256,
        smaller_than=first.plan.peak_bytes,
    )
    assert second.plan.peak_bytes <= 0.93 * first.plan.peak_bytes


def test_a_refusal_names_the_largest_term_the_shortfall_and_two_edits_that_fit() -> None:
    config = asked(compute="bfloat16", checkpointing=False, base="int8", batch=1, accumulation=1)
    with pytest.raises(InputError) as caught:
        fit_to(1.7e9, GEMMA, config, max_length=1024)
    error = caught.value
    assert "the largest term is" in error.what and "MB too many" in error.what
    assert error.fix is not None and error.fix.count(" or ") == 1
    for edit in error.fix.split(" or "):
        words = edit.split()
        length, changed, limit = 1024, config, 1.7e9
        if words[0] == "--max-length":
            length = int(words[1])
        elif words[0] == "--memory-limit":
            limit = 1e6 * float(words[1].removesuffix("MB"))
        elif words[0].startswith("--"):
            field = words[0].removeprefix("--").replace("-", "_")
            value = words[1] if len(words) > 1 else True
            changed = config.model_copy(update={field: value})
        fit_to(limit, GEMMA, changed, max_length=length)  # raises where the edit does not fit


def test_nothing_fits_a_limit_below_the_runtime_and_only_a_limit_is_offered() -> None:
    with pytest.raises(InputError) as caught:
        fit_to(0.2e9, GEMMA, asked(), max_length=64)
    assert caught.value.fix is not None and "--memory-limit" in caught.value.fix


def test_the_printed_search_gives_each_step_its_megabytes_and_its_price() -> None:
    found = fit_to(1.6e9, GEMMA, asked(compute="bfloat16", vocab_block=4096), max_length=256)
    text = search_text(found.steps, 1.6e9)
    for step in found.steps:
        assert step.price in text
        assert step.peak_bytes is None or f"{step.peak_bytes / 1e6:,.0f} MB" in text
    assert "time" in text
