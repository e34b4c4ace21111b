"""The table of stages: the one place that knows which room runs which stage."""

from importlib import import_module
from typing import Any

from seemant.core.errors import BadConfig, nearest
from seemant.core.stage import Stage

STAGES = {
    "corpus": "seemant.corpus.run",
    "distill": "seemant.distill.run",
    "targets": "seemant.train.teacher.run",
    "rewrite": "seemant.train.rewrite.run",
    "train": "seemant.train.run",
    "pretrain": "seemant.train.pretrain.run",
    "probe": "seemant.probe.run",
    "divergence": "seemant.probe.divergence_run",
    "convert": "seemant.models.convert.run",
    "dither": "seemant.compress.reference.run",
    "rotate": "seemant.compress.rotate.run",
    "compress": "seemant.compress.run",
    "qat": "seemant.compress.qat.run",
    "trim": "seemant.compress.vocab.run",
    "attribution": "seemant.compress.attribution.run",
    "lost_first": "seemant.compress.attribution.lost_first_run",
    "export": "seemant.export.run",
    "bench": "seemant.bench.run",
    "frontier": "seemant.frontier.run",
    "recommend": "seemant.frontier.recommend_run",
    "report": "seemant.report.run",
}


def stage_named(name: str) -> Stage[Any]:
    """Return the stage of that name; only its own room is imported.

    Raises:
        BadConfig: there is no such stage.
    """
    if name not in STAGES:
        raise BadConfig(f"unknown stage {name!r}", fix=nearest(name, STAGES))
    stage: Stage[Any] = import_module(STAGES[name]).STAGE
    return stage
