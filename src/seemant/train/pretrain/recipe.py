"""A pretraining's settings in the words of the shared loop: every weight, packed windows."""

from seemant.train.config import TrainConfig
from seemant.train.order import Cut, Order
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.windows import Windows


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
        accumulation=micro_batches(config),
        pack=config.micro_tokens,
        max_length=config.context,
        checkpointing=config.checkpointing,
        vocab_block=config.vocab_block,
        threads=config.threads,
        eval_every=max(1, -(-steps // config.evaluations)),
        save_every=config.save_every,
        seed=config.seed,
    )


def micro_batches(config: PretrainConfig) -> int:
    """Return the micro-batches of one optimiser step."""
    return max(1, round(config.batch_tokens / config.micro_tokens))


def order_of(windows: Windows, config: PretrainConfig) -> Order:
    """Return the order in which the loop will see the windows."""
    return Order(windows.lengths.tolist(), Cut(batch=1, pack=config.micro_tokens), config.seed)
