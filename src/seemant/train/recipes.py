"""Recipes: settings of runs that were made before, what of them was reported, and what conflicts.

A recipe is a YAML file in `recipes/`. Its settings are the defaults of a run; flags win over them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seemant.core.config import Config, load_yaml, validate
from seemant.core.errors import BadConfig, nearest
from seemant.train.config import TrainConfig

FOLDER = Path(__file__).parent / "recipes"


class Figure(Config):
    """What was said of one run then: of which model, and the numbers, as they were written."""

    what: str
    minutes: float | None = None
    s_per_step: float | None = None
    loss: float | None = None
    peak_gb: float | None = None
    epoch_hours: tuple[float, float] | None = None
    pairs: int | None = None
    samples_per_s: tuple[float, float] | None = None


class Recipe(Config):
    """A recipe's file.

    model: the default model. shapes: its architecture, for a plan without the weights. reported:
    the settings that were written down; the others are assumed. differs: what is not as it was.
    """

    recipe: str
    title: str
    model: str
    shapes: str
    settings: dict[str, Any]
    reported: tuple[str, ...]
    differs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()

    def config(self, given: Mapping[str, Any]) -> TrainConfig:
        """Return the settings: the recipe's, with the given ones over them.

        Raises:
            BadConfig: they do not fit together.
        """
        own = dict(self.settings)
        for one, other in (("steps", "epochs"), ("epochs", "steps")):
            if given.get(one) is not None:
                own.pop(other, None)
        merged = {**own, **{key: value for key, value in given.items() if key != "steps" or value}}
        return validate(TrainConfig, merged, where=f"recipe {self.recipe}", lines={})


def names() -> list[str]:
    """Return the names of all recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def recipe_named(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        BadConfig: there is none of that name, or its file is damaged.
    """
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise BadConfig(f"unknown recipe {name!r}", fix=nearest(name, names()))
    value, lines = load_yaml(path)
    return validate(Recipe, value, where=path.name, lines=lines)


def recipe_text(recipe: Recipe, config: TrainConfig) -> str:
    """Return what a recipe is: each setting with where it comes from, figures and conflicts."""
    lines = [f"recipe {recipe.recipe}: {recipe.title}"]
    plain = recipe.config({})
    for name in recipe.settings:
        value, written = getattr(config, name), getattr(plain, name)
        source = "reported" if name in recipe.reported else "assumed"
        if value != written:
            source = f"yours; the recipe has {_said(written)}, {source}"
        lines.append(f"  {name:16}{_said(value):24}{source}")
    lines += [f"  differs: {text}" for text in recipe.differs]
    lines += [f"  reported then: {text}" for text in told(recipe)]
    lines += [f"  conflict: {text}" for text in conflicts(recipe)]
    return "\n".join(lines)


def told(recipe: Recipe) -> list[str]:
    """Return the reported figures, a line each."""
    found = []
    for each in recipe.figures:
        said: dict[str, Callable[[Any], str]] = {
            "minutes": lambda v: f"about {_time(v)}",
            "s_per_step": lambda v: f"{v:g} s a step",
            "loss": lambda v: f"final loss {v:g}",
            "peak_gb": lambda v: f"{v:g} GB peak",
            "samples_per_s": lambda v: f"{v[0]:g} to {v[1]:g} samples/s",
            "epoch_hours": lambda v: f"{v[0]:g} to {v[1]:g} h an epoch",
            "pairs": lambda v: f"on {v:,} pairs",
        }
        parts = [
            say(value) for name, say in said.items() if (value := getattr(each, name)) is not None
        ]
        found.append(f"{each.what}: {', '.join(parts)}")
    return found


def conflicts(recipe: Recipe) -> list[str]:
    """Return where reported figures do not agree with each other."""
    found = []
    implied = [
        (each, round(each.minutes * 60 / each.s_per_step))
        for each in recipe.figures
        if each.minutes and each.s_per_step
    ]
    if len({steps for _, steps in implied}) > 1:
        parts = [
            f"{each.what}: {_time(each.minutes or 0)} at {each.s_per_step:g} s/step is "
            f"{steps:,} steps"
            for each, steps in implied
        ]
        found.append(f"{'; '.join(parts)}: one recipe has one number of steps")
    for each in recipe.figures:
        if each.epoch_hours and each.pairs and each.samples_per_s:
            low, high = (each.pairs / rate / 3600 for rate in reversed(each.samples_per_s))
            if not low <= each.epoch_hours[0] <= high:
                found.append(
                    f"{each.what}: {each.pairs:,} pairs at {each.samples_per_s[0]:g} to "
                    f"{each.samples_per_s[1]:g} samples/s are {low:.1f} to {high:.1f} h an epoch, "
                    f"not {each.epoch_hours[0]:g} to {each.epoch_hours[1]:g} h"
                )
    return found


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value / 1e9:g} GB" if value >= 1e6 else f"{value:g}"
    return "none" if value is None else str(value)


def _time(minutes: float) -> str:
    return f"{minutes:g} min" if minutes < 60 else f"{int(minutes // 60)} h {minutes % 60:02.0f}"
