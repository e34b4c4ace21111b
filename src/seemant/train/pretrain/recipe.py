"""A pretraining's settings in the words of the shared loop: every weight, packed windows."""

from seemant.train.config import TrainConfig
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.windows import Windows
from seemant.train.rows.order import Cut, Order

KERNELS = 256  # compiled ones that are kept: more than a step's own, far less than the default


def train_config(config: PretrainConfig, steps: int) -> TrainConfig:
    """Return the settings of the loop for so many optimiser steps."""
    return TrainConfig(
        method="full",
        compute=config.compute,
        lr=config.lr,
        schedule=config.schedule,
        warmup=round(config.warmup * steps),
        weight_decay=config.weight_decay,
        clip=config.clip,
        z_loss=config.z_loss,
        steps=steps,
        accumulation=config.micro_batches,
        pack=config.micro_size,
        max_length=config.context,
        checkpointing=config.checkpointing,
        vocab_block=config.vocab_block,
        threads=config.threads,
        eval_every=max(1, -(-steps // config.evaluations)),
        save_every=config.save_every,
        seed=config.seed,
    )


def order_of(windows: Windows, config: PretrainConfig) -> Order:
    """Return the order in which the loop will see the windows."""
    return Order(windows.lengths.tolist(), Cut(batch=1, pack=config.micro_size), config.seed)
