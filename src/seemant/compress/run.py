"""The stage "compress": base and adapter merged, rounded, written, opened again and checked."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.compress.config import CompressConfig
from seemant.core.errors import BadConfig
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Input, Inputs, Stage

if TYPE_CHECKING:
    from seemant.compress.plan import TensorPlan
    from seemant.compress.rounding import Rounding
    from seemant.compress.source import Source

MODEL_NAME, CODES_NAME, VARIANT_NAME = "model.gguf", "codes.safetensors", "variant.json"


def run(config: CompressConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf (or codes.safetensors) and variant.json; return its measures.

    Methods that need calibration keep what is finished in a hidden folder, so that a killed run
    goes on at the next layer.

    Raises:
        BadFile: the model or the adapter is damaged, not whole, or of an unknown architecture.
        BadConfig: a group that does not divide a row.
        DiskFull: no space; nothing half-written is left.
    """
    from seemant.compress import naming
    from seemant.compress.plan import plan_tensors
    from seemant.compress.sound import check_sound
    from seemant.compress.source import gguf_of, open_source
    from seemant.core.progress import progress
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import check_base

    model, adapter = inputs["model"], inputs.get("adapter")
    if adapter:
        check_base(adapter.path, model.path, model.sha256)
    file = open_gguf(gguf_of(model.path, "compress"))
    source = open_source(file, adapter.path if adapter else None)
    plan_tensors(file, config)  # what cannot be is refused before anything long begins
    check_sound(file, source.merged)
    config, search = _searched(config, inputs, source, out)
    plan = plan_tensors(file, config)
    subject = naming.subject_of(config, model.label, adapter.label if adapter else None)
    rounding, calibration = _rounding(config, inputs, source, plan, out)
    with progress(f"compress {config.variant_name}", len(plan), "tensors") as tick:
        variant = finish(
            config,
            inputs,
            source,
            rounding,
            out,
            subject,
            calibration=calibration,
            search=search,
            done=lambda name: tick(1, name),
        )
    rounding.drop()
    if config.search:
        from seemant.compress.searched import JOURNAL, VALUES

        (out / JOURNAL).unlink(missing_ok=True)  # not before: a killed run measures nothing twice
        shutil.rmtree(out / VALUES, ignore_errors=True)
    return measurements_of(subject, variant)


def finish(
    config: CompressConfig,
    inputs: Inputs,
    source: "Source",
    rounding: "Rounding",
    out: Path,
    subject: str,
    *,
    calibration: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
    done: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Write a variant's files, open them again, compare, and return what variant.json says."""
    from seemant.compress import describe, naming
    from seemant.compress.adapter_gain import adapter_gain
    from seemant.compress.plan import is_torch_only
    from seemant.compress.variant import write_codes, write_model
    from seemant.compress.verify import verify_codes, verify_model
    from seemant.core.jsonl import write_json
    from seemant.core.runlog import log_event

    plan = rounding.plan
    if is_torch_only(plan):
        written = out / CODES_NAME
        facts = write_codes(written, rounding, done)
        verify_codes(written, plan, facts)
    else:
        written = out / MODEL_NAME
        metadata = naming.variant_metadata(
            source.file, config, plan, subject, inputs["model"].label, "adapter" in inputs
        )
        facts = write_model(written, source, rounding, metadata, done)
        verify_model(written, plan, facts)
    log_event(out, "verified", file=written.name, tensors=len(plan))
    variant = describe.variant(config, inputs, source, plan, facts, written, subject)
    variant |= {"calibration": calibration, "search": search}
    if source.merged and written.suffix == ".gguf" and config.prepare is None:
        variant["adapter_gain"] = adapter_gain(written, source, plan)  # AWQ's folds move the base
    write_json(out / VARIANT_NAME, variant)
    return variant


def _rounding(
    config: CompressConfig,
    inputs: Inputs,
    source: "Source",
    plan: "Mapping[str, TensorPlan]",
    out: Path,
) -> "tuple[Rounding, dict[str, Any] | None]":
    """Return where the integers come from, and what calibration text was used."""
    if not config.calibrated:
        from seemant.compress.rounding import SlicewiseRounding

        return SlicewiseRounding(source, plan, config), None
    from seemant.compress.calibrated import round_calibrated

    return round_calibrated(config, _text(inputs, config.method_name), source, plan, out)


def _searched(
    config: CompressConfig, inputs: Inputs, source: "Source", out: Path
) -> tuple[CompressConfig, dict[str, Any] | None]:
    """Return the settings with the formats that a search chose, and what it found."""
    if not config.search:
        return config, None
    from seemant.compress.searched import search_formats

    formats, found = search_formats(config, _text(inputs, "a search"), source, out)
    return config.model_copy(update={"formats": formats}), found


def _text(inputs: Inputs, what: str) -> Input:
    if "calibration" not in inputs:
        raise BadConfig(
            f"{what} needs calibration text",
            where="calibration",
            fix="name a corpus artefact or a .jsonl of paragraphs: --calibration FOLDER",
        )
    return inputs["calibration"]


def measurements_of(subject: str, variant: dict[str, Any]) -> list[Measurement]:
    """Return a variant's size, bits a weight and errors of its weights."""
    conditions = {key: variant[key] for key in _CONDITIONS}
    rows = [
        exact(subject, "file_bytes", variant["file_bytes"], "bytes", conditions=conditions),
        exact(
            subject,
            "bits_per_weight",
            variant["bits_per_weight_file"],
            "bits/weight",
            conditions=conditions,
        ),
        exact(
            subject,
            "bits_per_weight_ideal",
            variant["bits_per_weight_ideal"],
            "bits/weight",
            conditions=conditions,
        ),
    ]
    for kind, error in variant["relative_error"].items():
        where = {**conditions, "tensors": kind}
        rows.append(exact(subject, "relative_weight_error", error, "ratio", conditions=where))
    return rows


_CONDITIONS = (
    "method",
    "format",
    "bits",
    "group",
    "symmetric",
    "embedding",
    "container",
    "simulated",
    "torch_only",
    "on_reference_grid",
    "embedding_on_reference_grid",
    "nested_in_reference_grid",
    "reference",
)


STAGE = Stage(
    name="compress",
    version=6,
    config=CompressConfig,
    run=run,
    roles={"model": "model", "adapter": "adapter?", "calibration": "paragraphs?"},
)
