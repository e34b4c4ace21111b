"""The pretrain stage: text in, a small model made from nothing out."""

from pathlib import Path

from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage
from seemant.train.pretrain.config import PretrainConfig


def run(config: PretrainConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Learn a vocabulary, train on the text, and fill `out` with the model in both formats.

    Raises:
        BadFile, BadRecord: the text is unreadable, or none of it is left to train on.
        InputError: the plan needs more memory than `memory_limit`.
        WorldError: a full disk, a loss that is not finite, or more memory taken than
            `memory_limit`; the same call goes on.
    """
    from seemant.train.compute import compute_here

    config = config.model_copy(update={"compute": compute_here(config.compute, gpu=True)})
    if config.memory_limit is not None:
        from seemant.train.pretrain.limited import pretrain_limited

        return pretrain_limited(config, inputs, out)
    from seemant.train.pretrain.session import pretrain_session

    return pretrain_session(config, inputs, out)


STAGE = Stage(
    name="pretrain",
    version=3,
    config=PretrainConfig,
    run=run,
    roles={"text": "paragraphs"},
)
