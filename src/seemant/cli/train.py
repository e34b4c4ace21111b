"""The command that fine-tunes: with a recipe or without, after its plan or only to show it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seemant.cli.options import DEFAULT, Options, run_stage
from seemant.core.errors import BadConfig, BadFile, InputError, UnknownModel
from seemant.train.config import TrainConfig
from seemant.train.recipes import Recipe, recipe_named, recipe_text

Flat = Parameter(name="*")


def train(
    model: str | None = None,
    pairs: str | None = None,
    *,
    recipe: str | None = None,
    replay_pairs: str | None = None,
    targets: str | None = None,
    plan: bool = False,
    show_batch: bool = False,
    config: Annotated[TrainConfig, Flat] = TrainConfig(),
    run: Options = DEFAULT,
) -> int | None:
    """Fine-tune a model on pairs; the loss counts the answers only.

    Example: seemant train embedded:gemma-3-270m runs/distill/0123456789ab --steps 60

    Example: seemant train --recipe nano

    Parameters
    ----------
    model
        A model reference (embedded:, path:, hf:, run:, config:); a recipe brings its own.
    pairs
        A distill artefact's folder, or a file of pairs: Alpaca's fields, chats (`messages`), CSV.
    recipe
        Settings of a run that was made before: indic-v1 or nano. Flags win over them.
    replay_pairs
        Pairs of what is not to be forgotten, for --replay.
    targets
        A targets artefact: a teacher's token probabilities, for --kd-weight.
    plan
        Print what the run would take, by term, and stop.
    show_batch
        Print the first rendered rows, what is learned of them in colour, and stop.
    """
    chosen = recipe_named(recipe) if recipe else None
    if chosen:
        config = chosen.config({name: getattr(config, name) for name in config.model_fields_set})
        print(recipe_text(chosen, config))
    name = model or (chosen.model if chosen else None)
    if name is None:
        raise BadConfig("a model is needed", where="MODEL", fix="name one, or give --recipe")
    there = _is_there(name, given=model is not None)
    runs = there and pairs is not None and not show_batch
    # A run under a limit prints its own plan, with what this machine has measured.
    if plan or (chosen and not (runs and config.memory_limit)):
        print_plan(name if there else _shapes(chosen), name, config)
    if plan:
        return None
    if not there:
        absent = f"{name} is not on this machine, so nothing is run"
        if model or pairs:
            raise BadFile(absent, fix=f"seemant models fetch {name}")
        print(f"{absent}: seemant models fetch {name}")
        return None
    if pairs is None:
        if chosen:
            print(f"no pairs are named, so nothing is run: seemant train {name} PAIRS ...")
            return None
        raise BadConfig("pairs are needed", where="PAIRS", fix="name a file or an artefact")
    if show_batch:
        return None if show(name, pairs, config) else 1
    given = {"model": name, "pairs": pairs, "replay": replay_pairs, "targets": targets}
    run_stage("train", config, given, run)
    return None


def print_plan(reference: str, name: str, config: TrainConfig) -> None:
    """Print the memory that a run of a model would take; under a limit, the plan that fits it."""
    from seemant.models.resolve import resolve
    from seemant.train.compute import compute_here
    from seemant.train.memory.plan import RUNTIME_BYTES
    from seemant.train.memory.plan_text import plan_text, search_text
    from seemant.train.memory.search import fit_to, plan_for
    from seemant.train.memory.shape_of import shape_of_model
    from seemant.train.session import settled

    shape = shape_of_model(resolve(reference).path)
    compute = compute_here(config.compute, gpu=True, say=print)
    config = config.model_copy(update={"compute": compute})
    if config.memory_limit is None:
        plan = plan_for(shape, settled(config), config.max_length, runtime_bytes=RUNTIME_BYTES)
    else:
        found = fit_to(config.memory_limit, shape, config, max_length=config.max_length)
        print(search_text(found.steps, config.memory_limit))
        plan = found.plan
    print(plan_text(plan, name))


def show(reference: str, pairs: str, config: TrainConfig, n_rows: int = 3) -> bool:
    """Print the first rows as they are learned; return whether their labels spell the answers."""
    from rich.console import Console

    from seemant.corpus.pairs import read_pairs
    from seemant.models.resolve import languages_of, resolve
    from seemant.train.rows.check import check
    from seemant.train.rows.dataset import pairs_file
    from seemant.train.rows.form import form_of
    from seemant.train.rows.show import show_rows

    file = pairs_file(Path(pairs.removeprefix("run:")))
    every = {pair.key: pair for pair in read_pairs(file)}  # before a model is opened
    form = form_of(resolve(reference).path, config)
    languages = config.languages or languages_of(reference)
    rows = check(list(every.values()), form, languages=languages, where=str(file)).rows[:n_rows]
    return show_rows(rows, [every[row.key] for row in rows], form, Console())


def _is_there(reference: str, *, given: bool) -> bool:
    """Return whether a model's files are here; a model that the user named must exist."""
    from seemant.models.resolve import resolve

    try:
        resolve(reference)
    except (BadFile, UnknownModel, InputError):
        if given and not reference.startswith("hf:"):
            raise
        return False
    return True


def _shapes(recipe: Recipe | None) -> str:
    if recipe is None:
        raise BadConfig(
            "the model is not on this machine, so nothing can be planned",
            fix="seemant models fetch MODEL, or plan with config:OWNER/NAME",
        )
    return recipe.shapes
