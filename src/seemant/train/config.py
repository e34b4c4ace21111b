"""The settings of a fine-tuning run."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from seemant.core.config import Config
from seemant.core.records import Lang


class TrainConfig(Config):
    """LoRA on every linear layer of the blocks; the head and the embedding stay as they are."""

    rank: PositiveInt = 8
    """Rank r of the adapters."""
    alpha: PositiveFloat = 16.0
    """Scale of the adapters: their product counts alpha / rank times."""
    lr: PositiveFloat = 5e-4
    """Highest learning rate, reached after the warm-up."""
    steps: PositiveInt = 60
    """Optimiser steps."""
    batch: PositiveInt = 2
    """Pairs in one micro-batch."""
    accumulation: PositiveInt = 2
    """Micro-batches in one optimiser step; they count by their answer tokens, not equally."""
    max_length: int = Field(default=256, ge=8)
    """Longest row, prompt and answer and end-of-turn token together, in tokens."""
    on_long: Literal["reject", "cut-input"] = "reject"
    """What happens to a longer row: set aside, or its `input` shortened. Answers are never cut."""
    warmup: NonNegativeInt = 5
    """Steps over which the learning rate rises from zero; then it falls as a cosine."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW on the adapters."""
    clip: PositiveFloat | None = 1.0
    """Largest norm of the whole gradient; none turns clipping off."""
    heldout_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the paragraphs, in each language, whose pairs are kept out of training."""
    eval_every: PositiveInt = 20
    """Steps between two measurements of the held-out loss."""
    save_every: PositiveInt = 10
    """Steps between two checkpoints."""
    languages: tuple[Lang, ...] | None = None
    """Languages to train on; none means those that the model carries."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Number type of the frozen weights and the activations; the adapters are float32 always."""
    vocab_block: PositiveInt = 8192
    """Vocabulary rows that the loss holds at a time; memory only, never the result."""
    threads: PositiveInt | None = None
    """Threads of the matrix products; none means every free core."""
    subject: str | None = None
    """Name of the student in tables; none derives it from the model's."""
    seed: NonNegativeInt = 0
    """Seed of the adapters' start, the held-out split and the order of the pairs."""
