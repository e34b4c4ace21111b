"""What a QAT run leaves: the trained file, its variant.json, and the measures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seemant.compress.config import CompressConfig
from seemant.compress.methods.quantised import Quantised
from seemant.compress.naming import subject_of
from seemant.compress.plan import OUTER
from seemant.compress.prune.masks import holds, pattern_of
from seemant.compress.qat.config import QatConfig
from seemant.compress.qat.start import VARIANT_NAME, Start
from seemant.compress.qat.student import Student
from seemant.compress.rounding import GivenRounding
from seemant.compress.run import finish, measurements_of
from seemant.compress.source import Source
from seemant.core.jsonl import write_json
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs


class Settings(CompressConfig):
    """The grids of a trained variant, as compress describes them, under its own method's name."""

    trained: str = ""
    """the mode"""

    @property
    def method_name(self) -> str:
        """For example "qat-full"."""
        return f"qat-{self.trained}"


def write_trained(
    config: QatConfig,
    settings: Settings,
    inputs: Inputs,
    source: Source,
    start: Start,
    student: Student,
    out: Path,
) -> dict[str, Any]:
    """Write model.gguf, check it, write variant.json and return its content."""
    model, adapter, variant = inputs["model"], inputs.get("adapter"), inputs.get("variant")
    subject = subject_of(settings, model.label, adapter.label if adapter else None)
    given = {**start.quantised, **dict(student.quantised())}
    rounding = GivenRounding(source, start.plan, given, {**start.kept, **student.kept()})
    told = finish(settings, inputs, source, rounding, out, subject)
    told["start"] = {"label": variant.label, "sha256": variant.sha256} if variant else None
    told["tokens_trained"] = config.steps * config.batch * config.length
    told["sparsity"] = _still_sparse(start, given)
    told["codes_moved"] = _moved(start, given, set(student.layers))
    write_json(out / VARIANT_NAME, told)
    return told


def trained_measures(
    variant: dict[str, Any], before: dict[str, float], after: dict[str, float], config: QatConfig
) -> list[Measurement]:
    """Return a trained variant's measures, and its held-out KL before and after by language."""
    subject = variant["subject"]
    rows = measurements_of(subject, variant)
    rows.append(exact(subject, "qat_codes_moved", variant["codes_moved"], "ratio"))
    for metric, found in (("qat_kld_before", before), ("qat_kld_after", after)):
        rows += [
            Measurement(
                subject=subject,
                metric=metric,
                lang=lang,
                value=value,
                unit="nats/token",
                ci_method="none: a look at few sequences of the same text; see divergence",
                n=config.heldout * config.length,
                n_clusters=config.heldout,
                conditions={"method": variant["method"], "tokens": variant["tokens_trained"]},
            )
            for lang, value in found.items()
        ]
    return rows


def _still_sparse(start: Start, given: Mapping[str, Quantised]) -> str | None:
    """Return the start's pattern if every matrix of the blocks still has it; None: training that
    moves codes may have moved some off 0.
    """
    if start.sparsity is None:
        return None
    pattern = pattern_of(start.sparsity)
    blocks = (given[name].codes for name in given if name not in OUTER)
    whole = all(holds(codes.reshape(len(codes), -1) == 0, pattern) for codes in blocks)
    return start.sparsity if whole else None


def _moved(start: Start, given: Mapping[str, Quantised], names: set[str]) -> float:
    """Return the share of the trained matrices' codes that are not the start's; 0: scales alone."""
    changed = sum(int((given[n].codes != start.quantised[n].codes).sum()) for n in names)
    return changed / max(1, sum(given[n].codes.size for n in names))
