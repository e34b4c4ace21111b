"""The settings of the stage "qat"."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from seemant.core.config import HOW, Config
from seemant.core.records import Lang
from seemant.formats.packing import BLOCK
from seemant.formats.tensor_format import Search


class QatConfig(Config):
    """Codes and scales trained against the unrounded model, on the very grid that is exported."""

    mode: Literal["scales", "full", "lora"] = "lora"
    """What is trained: "scales" (scales, offsets, norms; codes stay), "lora" (a low-rank change of
    the weights behind the codes too: best after GPTQ), "full" (all weights behind the codes)"""

    bits: int = Field(default=4, ge=2, le=8)
    """Bits a weight of the blocks' matrices; a variant brings its own grids instead."""
    group: int | None = Field(default=32, ge=BLOCK, multiple_of=BLOCK)
    """Weights that share a scale, a multiple of 32; null: per channel. A variant brings its own."""
    symmetric: bool = True
    """value = d*q (true), or d*q + m with an offset (false). A variant brings its own."""
    fit: Search = "mse"
    """How a group's first scale is found: minmax, mse (searched), hqq."""
    embedding_bits: int = Field(default=8, ge=2, le=8)
    """Bits a weight of embedding and head, which stay at their codes. A variant brings its own."""

    tokens: PositiveInt = 300_000
    """Tokens that are trained on in all; text that is shorter is read again."""
    length: int = Field(default=256, ge=16)
    """Tokens of a sequence."""
    batch: PositiveInt = 4
    """Sequences of an update."""
    micro: PositiveInt = 4
    """Sequences that pass together; memory and speed only."""
    head_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the positions that reach the head, drawn anew each step: at a large vocabulary the
    head costs most of a step."""
    ce: float = Field(default=0.0, ge=0)
    """Weight of the next token's cross-entropy beside the divergence; 0.1 is common."""
    languages: tuple[Lang, ...] | None = None
    """Languages to train on, as much of each; none means all of the text's."""
    heldout: PositiveInt = 2
    """Sequences of each language that are looked at before and after, and not trained on."""

    lr_scale: PositiveFloat = 3e-3
    """Learning rate of scales and offsets, as a share of the scale they start from."""
    lr_weight: PositiveFloat = 1e-2
    """Learning rate of weights (mode full), in steps of the grid. A code changes only if its weight
    travels (1 - slack)/2 of a step: too low a rate for the updates trains scales alone."""
    lr_lora: PositiveFloat = 1e-2
    """Learning rate of the low-rank factors (mode lora)."""
    lr_norm: PositiveFloat = 1e-4
    """Learning rate of norms, as a share of their mean size."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rates fall over the steps."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps in which the rates rise."""
    clip: float | None = Field(default=1.0, gt=0)
    """Largest length of the gradient; none: any."""
    freeze: float = Field(default=0.1, ge=0, le=0.5)
    """Share of the steps, at the end, in which oscillating codes are held; as many steps before
    count who oscillates. 0: never."""
    slack: float = Field(default=0.5, ge=0, lt=1)
    """How far towards its unrounded value a weight starts inside its code's cell: 0 in the middle,
    1 at the border."""

    rank: PositiveInt = 16
    """Rank of the change (mode lora)."""
    alpha: PositiveFloat = 16.0
    """The change is multiplied by alpha / rank (mode lora)."""
    base: Literal["float32", "bfloat16"] = "float32"
    """How the weights under the low-rank change are held (mode lora)."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Number type of the student's products; only float32 sees exactly the file's values."""
    teacher_compute: Literal["float32", "bfloat16"] = "float32"
    """Number type of the teacher."""

    checkpointing: Annotated[bool, HOW] = False
    """Keep only each layer's input and compute the layer again: less memory, a third more time."""
    vocab_block: Annotated[PositiveInt, HOW] = 8192
    """Vocabulary rows held at a time; memory only."""
    save_every: Annotated[PositiveInt, HOW] = 25
    """Steps between checkpoints."""
    threads: Annotated[PositiveInt | None, HOW] = None
    """Threads of the matrix products; none means every free core."""
    seed: int = 0
    """Order of the text, drawn positions, start of low-rank factors."""
    name: str = ""
    """What the variant is called; default: the start's name and "-qat", "-scales" or "-lora"."""
    subject: str = ""
    """What the measurements are about; default: MODEL[+lora]/NAME from the inputs' labels."""

    @property
    def steps(self) -> int:
        """How many updates the tokens make, at least one."""
        return max(1, self.tokens // (self.batch * self.length))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "/" in self.name:
            raise ValueError("a variant's name holds no '/'")
        if self.micro > self.batch:
            raise ValueError(f"micro {self.micro} is more than batch {self.batch}")
        return self
