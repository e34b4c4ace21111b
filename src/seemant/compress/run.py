"""The stage "compress": base and adapter merged, rounded, written, opened again and checked."""

from pathlib import Path
from typing import Any

from seemant.compress.config import CompressConfig
from seemant.core.errors import BadFile
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage

MODEL_NAME, CODES_NAME, VARIANT_NAME = "model.gguf", "codes.safetensors", "variant.json"


def run(config: CompressConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf (or codes.safetensors) and variant.json; return its measures.

    Raises:
        BadFile: the model or the adapter is damaged, or of an unknown architecture.
        BadConfig: a group that does not divide a row.
        DiskFull: no space; nothing half-written is left.
    """
    from seemant.compress import describe, naming
    from seemant.compress.plan import is_torch_only, plan_tensors
    from seemant.compress.source import open_source
    from seemant.compress.variant import write_codes, write_model
    from seemant.compress.verify import verify_codes, verify_model
    from seemant.core.jsonl import write_json
    from seemant.core.progress import progress
    from seemant.core.runlog import log_event
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import check_base
    from seemant.models.resolve import weights_in

    model, adapter = inputs["model"], inputs.get("adapter")
    if adapter:
        check_base(adapter.path, model.path, model.sha256)
    file = open_gguf(_gguf_path(weights_in(model.path)))
    plan = plan_tensors(file, config)
    source = open_source(file, adapter.path if adapter else None)
    subject = naming.subject_of(config, model.label, adapter.label if adapter else None)
    torch_only = is_torch_only(plan)
    with progress(f"compress {config.variant_name}", len(plan), "tensors") as tick:
        if torch_only:
            written = out / CODES_NAME
            accounts = write_codes(written, source, plan, lambda name: tick(1, name))
            verify_codes(written, plan, accounts)
        else:
            written = out / MODEL_NAME
            metadata = naming.variant_metadata(
                file, config, subject, model.label, adapter is not None
            )
            accounts = write_model(written, source, plan, metadata, lambda name: tick(1, name))
            verify_model(written, plan, accounts)
    log_event(out, "verified", file=written.name, tensors=len(plan))
    variant = describe.variant(config, inputs, source, plan, accounts, written, subject)
    write_json(out / VARIANT_NAME, variant)
    return _measurements(subject, variant)


def _measurements(subject: str, variant: dict[str, Any]) -> list[Measurement]:
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


def _gguf_path(path: Path) -> Path:
    if path.is_dir():
        raise BadFile(
            "compress reads GGUF files, this is a folder",
            where=str(path),
            fix="name a .gguf file (llama.cpp's convert_hf_to_gguf.py makes one from a folder)",
        )
    return path


STAGE = Stage(
    name="compress",
    version=1,
    config=CompressConfig,
    run=run,
    roles={"model": "model", "adapter": "adapter?"},
)
