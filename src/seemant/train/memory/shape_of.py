"""The shape of the model that a run is asked to train, from its files alone."""

from pathlib import Path

from seemant.core.jsonl import read_json
from seemant.models.decoder.shape import DecoderShape, shape_of_config


def shape_of_model(path: Path) -> DecoderShape:
    """Return the shape of a GGUF file, an HF folder or a configuration file; torch stays out.

    Raises:
        BadFile, InputError: it is none of these, or of a family that is not read here.
    """
    from seemant.models.resolve import weights_in

    weights = weights_in(path)
    if weights.is_dir():
        return shape_of_config(read_json(weights / "config.json"))
    if weights.suffix == ".json":
        return shape_of_config(read_json(weights))
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.hf_config import config_of_file

    return shape_of_config(config_of_file(open_gguf(weights)))
