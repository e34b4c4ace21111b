"""A training run from its inputs to its files, inside the process that does the work.

The stage calls it in its own process; under a memory limit a worker calls it (`worker.py`), under
a launcher every rank does. It imports torch and little else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.hashing import json_sha256
from seemant.core.machine import cores
from seemant.core.measurement import Measurement
from seemant.core.refs import short_name
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs
from seemant.train.config import MEMORY_FIELDS, TrainConfig

if TYPE_CHECKING:
    from seemant.train.fit import MakeHooks
    from seemant.train.objective import Losses
    from seemant.train.rows.dataset import Data
    from seemant.train.rows.render import Form
    from seemant.train.scale.world import World


def train_session(
    config: TrainConfig,
    inputs: Inputs,
    out: Path,
    *,
    use: TrainConfig | None = None,
    stop: Callable[[], bool] = lambda: False,
    world: "World | None" = None,
) -> list[Measurement]:
    """Train, fill `out` and return the measurements.

    use: the settings that a plan made of `config`; none: these, with "auto" as "float". stop:
    asked after every step; the run then ends with a checkpoint and a `WorldError`. world: the
    ranks that train together; only rank 0 writes and measures.

    Raises:
        BadRecord: no pair is left to train on.
        InputError: the model's template, tokenizer or head cannot be trained on.
        WorldError: a full disk, or a loss that is not finite; the same call goes on.
    """
    from seemant.core.memory import give_back_heap
    from seemant.models.resolve import weights_in
    from seemant.train.asked import check_asked
    from seemant.train.determinism import bits_depend_on, deterministic
    from seemant.train.fit import Surroundings, fit
    from seemant.train.opened import open_model
    from seemant.train.results import Run, measurements, save_results
    from seemant.train.rows.dataset import read_data
    from seemant.train.rows.faults import check_template
    from seemant.train.rows.form import form_of, is_configuration
    from seemant.train.scale.world import Lone

    check_asked(config, inputs)
    world = world or Lone()
    use, threads = use or settled(config), config.threads or cores()
    base = inputs["model"]
    with deterministic(config.seed, threads):
        form = form_of(base.path, use)
        bare = is_configuration(weights_in(base.path))  # it has no template that could be missing
        chosen = use.template is not None
        noted = [] if bare else check_template(form, short_name(base.label), chosen=chosen)
        data = read_data(use, inputs, form, out, write=world.rank == 0)
        data.notes[:0] = noted
        alarm = _alarm(use, form, data, out, world)
        losses, covered = _losses(use, inputs, form, data)
        template, system = form.template, form.system
        del form  # with its tokenizer, before the weights come
        give_back_heap()
        opened = open_model(base.path, use)
        around = Surroundings(
            belongs={
                "config": json_sha256(config.asked()),
                "model": base.sha256,
                "template": template.hash,
                "pairs": json_sha256(data.facts()),
                "targets": inputs["targets"].sha256 if "targets" in inputs else None,
            },
            machine={
                **bits_depend_on(threads),
                "ranks": world.size,
                "plan": use.model_dump(include=set(MEMORY_FIELDS)),
            },
            world=world,
            more_hooks=alarm,
            losses=losses,
            stop=stop,
        )
        fitted = fit(opened.decoder, data.rows, data.heldout, use, out, around)
    if world.rank != 0:
        return []
    run = Run(use, inputs, out, opened, template, system, data, fitted, threads, covered)
    for note in save_results(run):
        log_event(out, "note", text=note)
    return measurements(run)


def settled(config: TrainConfig) -> TrainConfig:
    """Return the settings with "auto" as what it is without a limit: float."""
    kinds = {name: "float" for name in ("base", "embedding") if getattr(config, name) == "auto"}
    return config.model_copy(update=kinds)


def _losses(
    config: TrainConfig, inputs: Inputs, form: "Form", data: "Data"
) -> "tuple[Losses, float | None]":
    """Return the loss of each token, and the share of rows that a teacher has a word on.

    The loss is the answers' own (None), or with a teacher's stored word on them.
    """
    from seemant.train.objective import own_losses

    if not config.kd_weight:
        return own_losses, None
    from seemant.train.teacher.coverage import coverage, remarks
    from seemant.train.teacher.stored import open_stored
    from seemant.train.teacher.target import Teaching, taught_losses

    stored = open_stored(inputs["targets"].path, form.tokenizer, config.kd_temperature)
    covered = coverage(data.rows, stored)
    data.notes.extend(
        remarks(covered, stored, template=form.template.hash, study_prompt=config.study_prompt)
    )
    teaching = Teaching(
        weight=config.kd_weight,
        temperature=config.kd_temperature,
        direction=config.kd_direction,
    )

    def losses(student: Any, h: Any, targets: Any, rows: Any) -> Any:
        return taught_losses(student, h, targets, rows, stored, teaching)

    return losses, covered


def _alarm(
    config: TrainConfig, form: "Form", data: "Data", out: Path, world: "World"
) -> "MakeHooks":
    """Return what makes the alarm's hook; its probes are rendered while a tokenizer is here."""
    if config.alarm == "off":
        return lambda *_: []
    from seemant.train.alarm.prepare import prepare

    lengths = [len(row.ids) for row in data.rows]
    micro = config.pack or config.batch * sum(lengths) / len(lengths)
    prepared = prepare(config, form, data.heldout, out, data.languages)
    assert prepared is not None
    step_tokens = micro * config.accumulation
    return lambda student, adapters, steps: [
        prepared.hook(student, adapters, steps, step_tokens, world=world)
    ]
