"""The model that a run trains: a file's or a folder's weights, or an architecture's at random."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seemant.core.jsonl import read_json
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import load_decoder, random_decoder
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.trainable import load_state, trainable_decoder
from seemant.models.resolve import weights_in
from seemant.train.config import TrainConfig
from seemant.train.rows.form import is_configuration


@dataclass(frozen=True, slots=True)
class Opened:
    """A decoder ready to be trained.

    weights: its file or folder. random: there are no weights behind it, only an architecture.
    """

    decoder: Decoder
    weights: Path
    random: bool


def open_model(path: Path, config: TrainConfig) -> Opened:
    """Return the model of a path: frozen matrices for adapters, every weight for method full.

    Raises:
        BadFile: it cannot be read. BadConfig: a kind of matrix whose library is missing.
    """
    weights = weights_in(path)
    random = is_configuration(weights)
    if config.method == "full":
        if random:
            shape, state = shape_of_config(read_json(weights)), None
        else:
            shape, state = load_state(weights)
        decoder = trainable_decoder(shape, seed=config.seed, state=state, compute=config.compute)
    else:
        base, embedding, compute = config.base, config.embedding, config.compute
        if random:
            loaded = random_decoder(
                weights, base=base, embedding=embedding, compute=compute, seed=config.seed
            )
        else:
            loaded = load_decoder(
                weights, base=base, embedding=embedding, compute=compute, words=False
            )
        decoder = loaded.decoder
    decoder.checkpointing = config.checkpointing
    return Opened(decoder, weights, random)


def hf_config_of(weights: Path) -> dict[str, Any]:
    """Return what transformers would find in a model's `config.json`.

    Raises:
        BadFile: it cannot be read.
    """
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.hf_config import config_of_file
    from seemant.models.hf_folder import read_config

    if weights.is_dir():
        return read_config(weights)
    if is_configuration(weights):
        said: dict[str, Any] = read_json(weights)
        return said
    return config_of_file(open_gguf(weights))
