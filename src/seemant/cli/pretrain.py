"""`seemant pretrain`: a small model from nothing."""

from typing import Annotated

from cyclopts import Parameter

from seemant.cli.options import DEFAULT, Options, run_stage
from seemant.train.pretrain.config import PretrainConfig

Flat = Parameter(name="*")


def pretrain(
    text: str,
    *,
    config: Annotated[PretrainConfig, Flat] = PretrainConfig(),
    run: Options = DEFAULT,
) -> None:
    """Train a small decoder from random weights on text: own vocabulary, float32, a GGUF file.

    Example: seemant pretrain runs/corpus/0123456789ab --size 4M --tokens 5000000

    Example: seemant pretrain sums.txt --size 0.1M --languages en --minutes 5

    Parameters
    ----------
    text
        A corpus artefact's folder, a .jsonl file of paragraphs, or a .txt file, a document a line.
    """
    run_stage("pretrain", config, {"text": text}, run)
