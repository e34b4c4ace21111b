"""The train stage: a base model and instruction pairs in, a student out."""

from pathlib import Path

from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage
from seemant.train.config import TrainConfig


def run(config: TrainConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fine-tune, and fill `out` with the student in both formats, the losses and `student.json`.

    Under a memory limit a child does the work, with a plan that fits, and is held to the limit.
    Under a launcher (`accelerate launch`) this is rank 0 of several.

    Raises:
        BadRecord: no pair is left to train on.
        InputError: the model's template, tokenizer or head cannot be trained on, or no plan fits.
        WorldError: a full disk, or a loss that is not finite; the same call goes on.
    """
    from seemant.train.asked import check_asked, check_pairs
    from seemant.train.compute import compute_here
    from seemant.train.scale.ranks import under_launcher

    check_asked(config, inputs)
    check_pairs(inputs)
    if under_launcher():
        from seemant.train.scale.ranks import train_ranks

        return train_ranks(config, inputs, out)
    config = config.model_copy(update={"compute": compute_here(config.compute, gpu=True)})
    if config.memory_limit is not None:
        from seemant.train.memory.supervise import train_limited

        return train_limited(config, inputs, out)
    from seemant.train.session import train_session

    return train_session(config, inputs, out)


STAGE = Stage(
    name="train",
    version=4,
    config=TrainConfig,
    run=run,
    roles={"model": "model", "pairs": "pairs", "replay": "pairs?", "targets": "targets?"},
)
