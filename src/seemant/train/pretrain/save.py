"""The trained model in both forms: an HF folder, and the GGUF file made from that folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from seemant.models.catalogue import MODEL_NAME
from seemant.models.hf_to_gguf import hf_to_gguf
from seemant.models.prompts import make_template
from seemant.models.tokenizer import Tokenizer
from seemant.train.pretrain.vocabulary import END
from seemant.train.save import MODEL_FOLDER, save_model


def save_pretrained(
    out: Path,
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    tokenizer: Tokenizer,
    *,
    name: str,
    languages: Sequence[str],
    licence: str | None,
) -> None:
    """Write `model/` (weights, tokenizer, configuration) and `model.gguf`, in float32.

    weights: by transformers' names, a tied head not among them.

    Raises:
        DiskFull, NoPermission: the system refused; no half-written file is left.
    """
    folder = out / MODEL_FOLDER
    save_model(folder, weights, config, tokenizer, make_template("", END))
    hf_to_gguf(folder, out / MODEL_NAME, name=name, languages=languages, licence=licence)
