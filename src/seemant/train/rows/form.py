"""How texts are written for a model: its tokenizer, template and vocabulary, without its weights.

They are opened first and dropped before the weights come: a large vocabulary takes 100 to 300 MB
while its tokenizer is built, which must not stand on top of the model.
"""

from pathlib import Path

from seemant.core.jsonl import read_json
from seemant.models.prompts import make_template, template_of, template_of_metadata
from seemant.models.resolve import weights_in
from seemant.models.tokenizer import tokenizer_of_folder, tokenizer_of_metadata
from seemant.train.config import TrainConfig
from seemant.train.rows.faults import stops_of_folder, stops_of_metadata
from seemant.train.rows.render import Form, study_prompt
from seemant.train.rows.stand_in import stand_in_tokenizer


def form_of(path: Path, config: TrainConfig) -> Form:
    """Return the form of a GGUF file's, an HF folder's or a bare architecture's texts.

    Raises:
        BadFile: it is no model, or its tokenizer cannot be read.
    """
    weights = weights_in(path)
    stops: frozenset[int] = frozenset()
    if is_configuration(weights):
        n_vocab = int(read_json(weights)["vocab_size"])
        tokenizer, template = stand_in_tokenizer(n_vocab), make_template("", "<eos>")
    elif weights.is_dir():
        n_vocab = int(read_json(weights / "config.json")["vocab_size"])
        tokenizer, template = tokenizer_of_folder(weights), template_of(weights, config.template)
        stops = stops_of_folder(weights)
    else:
        from seemant.formats.gguf_read import open_gguf

        file = open_gguf(weights)
        n_vocab = file.tensors["token_embd.weight"].shape[0]
        metadata = file.metadata
        tokenizer = tokenizer_of_metadata(metadata, str(weights))
        template = template_of_metadata(metadata, config.template)
        stops = stops_of_metadata(metadata)
    return Form(
        template=template,
        tokenizer=tokenizer,
        n_vocab=n_vocab,
        max_length=config.max_length,
        on_long=config.on_long,
        system=study_prompt(template) if config.study_prompt else None,
        stops=stops,
    )


def is_configuration(path: Path) -> bool:
    """Return whether a path is an architecture without weights."""
    return path.suffix == ".json"
