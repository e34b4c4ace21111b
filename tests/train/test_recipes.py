"""The two recipes: their settings, where those come from, and what does not agree."""

import pytest

from seemant.core.errors import BadConfig
from seemant.core.jsonl import read_json
from seemant.models.decoder.shape import shape_of_config
from seemant.models.resolve import config_names, resolve
from seemant.train.config import TrainConfig
from seemant.train.recipes import conflicts, names, recipe_named, recipe_text, told


def test_indic_v1_is_as_it_was_reported() -> None:
    config = recipe_named("indic-v1").config({})
    assert (config.base, config.rank, config.alpha, config.max_length) == ("nf4", 32, 64.0, 512)
    assert config.method == "lora" and config.study_prompt and config.languages == ("hi", "kn")


def test_nano_is_as_it_was_reported() -> None:
    config = recipe_named("nano").config({})
    assert (config.base, config.rank, config.alpha, config.max_length) == ("int8", 8, 16.0, 256)
    assert config.batch == 1 and config.accumulation > 1 and config.memory_limit == 4e9


def test_qwen_7b_has_exactly_the_reported_trainable_parameters() -> None:
    recipe = recipe_named("indic-v1")
    shape = shape_of_config(read_json(resolve(recipe.shapes).path))
    rank = recipe.config({}).rank
    assert sum(rank * sum(size) for size in shape.linears().values()) == 80_740_352


@pytest.mark.parametrize("name", names())
def test_every_recipe_plans_on_shapes_that_ship_and_says_where_settings_come_from(
    name: str,
) -> None:
    recipe = recipe_named(name)
    assert recipe.shapes.removeprefix("config:") in config_names()
    assert set(recipe.reported) <= set(recipe.settings) <= set(TrainConfig.model_fields)
    text = recipe_text(recipe, recipe.config({}))
    for setting in recipe.settings:
        (line,) = [each for each in text.splitlines() if each.startswith(f"  {setting} ")]
        assert line.endswith("reported" if setting in recipe.reported else "assumed")


def test_reported_times_imply_two_numbers_of_steps_and_this_is_said() -> None:
    (conflict,) = conflicts(recipe_named("indic-v1"))
    assert "20 min at 1.6 s/step is 750 steps" in conflict
    assert "2 h 30 at 6.6 s/step is 1,364 steps" in conflict


def test_nanos_epoch_does_not_agree_with_its_speed_and_this_is_said() -> None:
    (conflict,) = conflicts(recipe_named("nano"))
    assert "2,000 pairs at 0.3 to 0.5 samples/s are 1.1 to 1.9 h an epoch, not 4 to 6 h" in conflict
    assert any("3.8 GB peak" in line for line in told(recipe_named("nano")))


def test_flags_win_over_a_recipe_and_are_named_as_yours() -> None:
    recipe = recipe_named("indic-v1")
    config = recipe.config({"rank": 4, "steps": 7})
    assert config.rank == 4 and config.steps == 7 and config.epochs is None
    assert recipe.config({"epochs": 2.0, "steps": None}).epochs == 2.0
    text = recipe_text(recipe, config)
    assert "yours; the recipe has 32, reported" in text


def test_an_unknown_recipe_names_the_nearest_and_a_bad_mix_its_fault() -> None:
    with pytest.raises(BadConfig, match="unknown recipe 'nanno'") as caught:
        recipe_named("nanno")
    assert "nano" in str(caught.value)
    with pytest.raises(BadConfig, match="method full trains every weight"):
        recipe_named("nano").config({"method": "full"})
