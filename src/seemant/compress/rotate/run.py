"""The stage "rotate": the same function in another basis, for rounding to few bits."""

from pathlib import Path

from seemant.compress.rotate.config import RotateConfig
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage

MODEL_NAME, FACTS_NAME = "model.gguf", "rotation.json"


def run(config: RotateConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf (F32, untied) and rotation.json.

    Raises:
        BadConfig: a family that cannot be rotated, with the reason.
        BadFile: not a GGUF file, or tensors that do not fit the model or are not finite.
        DiskFull: no space; nothing half-written is left.
    """
    from dataclasses import asdict

    from seemant.compress.reference.which import which
    from seemant.compress.rotate.rotate import EMBEDDING, HEAD
    from seemant.compress.rotate.write import write_rotated
    from seemant.compress.source import gguf_of
    from seemant.core.jsonl import write_json
    from seemant.core.progress import progress
    from seemant.core.refs import short_name
    from seemant.formats.gguf_read import open_gguf

    model = inputs["model"]
    file = open_gguf(gguf_of(model.path, "rotate"))
    tied = f"{HEAD}.weight" not in file.tensors
    n_tensors = len(file.tensors) + tied
    with progress(f"rotate, seed {config.seed}", n_tensors, "tensors") as tick:
        write_rotated(file, out / MODEL_NAME, config.seed, lambda name: tick(1, name))
    table = file.tensors[f"{EMBEDDING}.weight"]
    added = table.n_weights if tied else 0
    write_json(
        out / FACTS_NAME,
        {
            "schema_version": 1,
            "seed": config.seed,
            "width": table.shape[1],
            "hadamard": table.shape[1] & -table.shape[1],
            "base": {"label": model.label, "sha256": model.sha256},
            "reference": asdict(which(file)),
            "head_untied": tied,
            "weights_added": added,
        },
    )
    subject = config.subject or f"{short_name(model.label)}+rotated/{config.seed}"
    size = (out / MODEL_NAME).stat().st_size
    return [
        exact(subject, "file_bytes", size, "bytes"),
        exact(subject, "weights_added", added, "weights"),
    ]


STAGE = Stage(
    name="rotate",
    version=1,
    config=RotateConfig,
    run=run,
    roles={"model": "model"},
)
