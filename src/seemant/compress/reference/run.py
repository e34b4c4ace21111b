"""The stage "dither": a quantised model moved off its grid, to rank methods against."""

from pathlib import Path

from seemant.compress.reference.config import ReferenceConfig
from seemant.core.errors import BadFile
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage

MODEL_NAME, FACTS_NAME = "model.gguf", "reference.json"


def run(config: ReferenceConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf (F32, marked as dithered) and reference.json.

    Raises:
        BadConfig: the model is dithered already, or holds nothing on a grid.
        BadFile: not a GGUF file of a whole model, one of a type whose step is not known, or weights
            that are not finite.
        DiskFull: no space; nothing half-written is left.
    """
    from dataclasses import asdict

    from seemant.compress.reference.dither import write_dithered
    from seemant.compress.reference.which import which
    from seemant.compress.sound import check_sound
    from seemant.core.jsonl import write_json
    from seemant.core.progress import progress
    from seemant.core.refs import short_name
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.resolve import weights_in

    model = inputs["model"]
    path = weights_in(model.path)
    if path.is_dir():
        raise BadFile(
            "a reference is made of a GGUF file, this is a folder",
            where=str(path),
            fix="an fp folder is its own reference; use it as it is",
        )
    file = open_gguf(path)
    check_sound(file)
    with progress(f"dither, seed {config.seed}", len(file.tensors), "tensors") as tick:
        moved = write_dithered(file, out / MODEL_NAME, config.seed, lambda name: tick(1, name))
    before, after = which(file), which(open_gguf(out / MODEL_NAME))
    write_json(
        out / FACTS_NAME,
        {
            "schema_version": 1,
            "reference": "dithered",
            "seed": config.seed,
            "base": {"label": model.label, "sha256": model.sha256},
            "before": asdict(before),
            "after": asdict(after),
            "relative_change": moved,
        },
    )
    subject = config.subject or f"{short_name(model.label)}+dither/{config.seed}"
    size = (out / MODEL_NAME).stat().st_size
    return [
        exact(subject, "file_bytes", size, "bytes"),
        exact(subject, "relative_change", moved, "ratio"),
        exact(subject, "share_on_grid", after.on_grid, "ratio", conditions={"of": "weights"}),
    ]


STAGE = Stage(
    name="dither",
    version=1,
    config=ReferenceConfig,
    run=run,
    roles={"model": "model"},
)
