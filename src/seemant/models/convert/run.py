"""The stage "convert": tensors, tokenizer and settings of a folder as one GGUF file."""

from pathlib import Path

from seemant.core.errors import BadFile
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage
from seemant.models.convert.config import ConvertConfig

MODEL_NAME = "model.gguf"


def run(config: ConvertConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf; return its size.

    Raises:
        BadFile: a GGUF file already, or a family or tokenizer that is not written here.
        DiskFull, NoPermission: the system refused; nothing is left behind.
    """
    from seemant.core.refs import short_name
    from seemant.models.hf_to_gguf import hf_to_gguf

    model = inputs["model"]
    if not model.path.is_dir():
        raise BadFile(
            "convert reads a Hugging Face folder, this is a file",
            where=str(model.path),
            fix="a GGUF file needs no conversion: name it where a model is asked for",
        )
    name = config.name or short_name(model.label)
    target = out / MODEL_NAME
    hf_to_gguf(model.path, target, name=name, languages=config.languages, licence=config.licence)
    return [exact(name, "file_bytes", target.stat().st_size, "bytes")]


STAGE = Stage(
    name="convert",
    version=2,
    config=ConvertConfig,
    run=run,
    roles={"model": "folder"},
)
