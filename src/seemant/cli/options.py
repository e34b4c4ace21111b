"""What every stage command shares: where to write, how to print, how to run."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from seemant.cli.shown import lines_below, notes, table_rows
from seemant.core.config import Config
from seemant.core.heartbeat import heartbeat
from seemant.core.measurement import Measurement
from seemant.core.stage import Done, Input, Stage, execute, identity
from seemant.study.inputs import as_input, check_roles, refuse_plain_text, role_kind
from seemant.study.stages import stage_named


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every command that makes something."""

    out: Path | None = None
    """Folder for the result; default: its own place in the store."""
    store: Path = Path("runs")
    """The store of results."""
    force: bool = False
    """Make it anew even if it is there."""
    json: bool = False
    """Print the manifest as JSON."""
    dry_run: bool = False
    """Print the resolved settings and the run's identity, and stop."""


Options = Annotated[RunOptions, Parameter(name="*")]
DEFAULT = RunOptions()


def run_stage(
    name: str, config: Config, given: Mapping[str, str | None], options: RunOptions
) -> None:
    """Run one stage as the command line does, and print what was measured."""
    stage = stage_named(name)
    texts = {role: text for role, text in given.items() if text is not None}
    check_roles(stage, texts)
    inputs = {role: as_input(text, role_kind(stage, role)) for role, text in texts.items()}
    refuse_plain_text(stage.name, inputs)
    run_with_inputs(stage, config, inputs, options)


def run_with_inputs(
    stage: Stage[Any],
    config: Config,
    inputs: Mapping[str, Input],
    options: RunOptions,
    *,
    show: bool = True,
) -> Done | None:
    """Run a stage on inputs that are already resolved, and show it.

    None after a dry run, and on a rank that only follows another (`accelerate launch`).
    """
    if options.dry_run:
        resolved = {
            "stage": stage.name,
            "id": identity(stage, config, inputs),
            "config": config.model_dump(mode="json"),
            "inputs": {role: given.label for role, given in inputs.items()},
        }
        print(json.dumps(resolved, indent=2, ensure_ascii=False))
        return None
    done = _executed(stage, config, inputs, options)
    if done is None:
        return None
    for note in notes(done, inputs):
        print(f"note: {note}", file=sys.stderr)
    if options.json and show:
        print(done.manifest.model_dump_json(indent=2))
    elif show:
        print_measurements(table_rows(done))
        for line in lines_below(done, inputs):
            print(line)
        print(f"{'already there' if done.reused else 'done'}: {done.path}")
    return done


def _executed(
    stage: Stage[Any], config: Config, inputs: Mapping[str, Input], options: RunOptions
) -> Done | None:
    from seemant.train.config import TrainConfig
    from seemant.train.scale.ranks import execute_ranks, under_launcher

    where: dict[str, Any] = {"store": options.store, "out": options.out, "force": options.force}
    if stage.name == "train" and isinstance(config, TrainConfig) and under_launcher():
        return execute_ranks(stage, config, inputs, **where)
    with heartbeat(stage.name):
        return execute(stage, config, inputs, **where)


def print_measurements(measurements: Sequence[Measurement]) -> None:
    """Print measurements as a table: value, interval, n, origin."""
    if not measurements:
        return
    rows: list[tuple[str, ...]] = [
        ("subject", "metric", "lang", "value", "95 % interval", "n", "origin")
    ]
    rows += [_row(m) for m in measurements]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _row(m: Measurement) -> tuple[str, ...]:
    scale, unit = (1e-6, "MB") if m.unit == "bytes" else (1.0, m.unit)
    interval = m.ci_method
    if m.ci_low is not None and m.ci_high is not None:
        interval = f"[{m.ci_low * scale:.4g}, {m.ci_high * scale:.4g}] {m.ci_method}"
    shown = {
        key: value
        for key, value in m.conditions.items()
        if key in _TELLING and value is not None  # no layer: all of them, or outside of them
    }
    metric = " ".join([m.metric, *(f"{key}={value}" for key, value in shown.items())])
    return (
        m.subject,
        metric,
        m.lang or "",
        f"{m.value * scale:.4g} {unit}",
        interval,
        str(m.n),
        m.origin,
    )


# What tells two rows of one table apart; all conditions are in the manifest.
_TELLING = (
    "part",
    "reason",
    "route",
    "tensors",
    "tokenizer",
    "preset",
    "against",
    "reference_lang",
    "how",
    "layer",
    "site",
)
