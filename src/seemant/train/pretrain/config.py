"""The settings of a model made from nothing: its vocabulary, its shape, its budget."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from seemant.core.config import HOW, Bytes, Config
from seemant.core.records import Lang

Size = Literal["0.1M", "0.5M", "1M", "4M", "10M", "30M"]

# Parameters with a tied head, embedding included. From 256 on, every row is a multiple of 256, as
# llama.cpp's k-quants need it; ff is about 3 d (SwiGLU has three matrices where GPT-2 has two).
_SHAPE = ("vocab_size", "d", "layers", "heads", "kv_heads", "head_dim", "ff")
SIZES: dict[Size, dict[str, Any]] = {
    "0.1M": {"vocabulary": "byte"} | dict(zip(_SHAPE[1:], (64, 2, 2, 2, 32, 160), strict=True)),
    "0.5M": dict(zip(_SHAPE, (1024, 128, 2, 2, 2, 64, 320), strict=True)),
    "1M": dict(zip(_SHAPE, (2048, 128, 4, 2, 2, 64, 320), strict=True)),
    "4M": dict(zip(_SHAPE, (4096, 256, 4, 4, 2, 64, 768), strict=True)),
    "10M": dict(zip(_SHAPE, (8192, 384, 4, 6, 3, 64, 1024), strict=True)),
    "30M": dict(zip(_SHAPE, (8192, 512, 8, 8, 4, 64, 1536), strict=True)),
}


class PretrainConfig(Config):
    """A decoder trained from random weights on text, every weight of it in float32."""

    size: Size = "4M"
    """About how many parameters; it sets the vocabulary and the shape, unless those are given."""
    vocabulary: Literal["bpe", "byte"] = "bpe"
    """Byte-level BPE learned from this text, or the 256 bytes alone."""
    vocab_size: PositiveInt = 4096
    """Tokens of the BPE vocabulary, 256 bytes and two special tokens among them."""
    family: Literal["llama", "qwen3"] = "llama"
    """The architecture; qwen3 adds a norm on each query and key head."""
    d: PositiveInt = 256
    """Width of the hidden states."""
    layers: PositiveInt = 4
    """Blocks."""
    heads: PositiveInt = 4
    """Query heads of each block."""
    kv_heads: PositiveInt = 2
    """Key and value heads; each serves heads / kv_heads query heads."""
    head_dim: PositiveInt = 64
    """Width of a head."""
    ff: PositiveInt = 768
    """Inner width of the feed-forward part."""
    tied: bool = True
    """Whether the output head is the embedding itself."""
    context: int = Field(default=256, ge=8)
    """Most tokens of one window; a longer document is cut into windows of equal length."""
    tokens: PositiveInt | None = 5_000_000
    """Tokens to train on, text seen again counts again; give this or --minutes."""
    minutes: PositiveFloat | None = None
    """Time to train, turned into tokens by timing steps first; they are in `budget.json`."""
    batch_tokens: PositiveInt = 4096
    """Tokens of one optimiser step, about: whole windows fill it."""
    micro_tokens: PositiveInt = 4096
    """Most tokens computed at a time; a step is cut into equal parts of at most this many."""
    lr: PositiveFloat = 4e-3
    """Highest learning rate, reached after the warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """The learning rate after the warm-up: it falls to zero in a curve or a line, or stays."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay on the matrices."""
    clip: PositiveFloat | None = 1.0
    """Largest norm of the whole gradient; none turns clipping off."""
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of the squared log-normaliser, which keeps logits from drifting."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Number type of the activations; the weights are float32 always."""
    checkpointing: Annotated[bool, HOW] = False
    """Compute each layer again in the backward pass: less memory, about a third more time."""
    vocab_block: Annotated[PositiveInt, HOW] = 8192
    """Vocabulary rows that the loss holds at a time; memory only, never the result."""
    memory_limit: Annotated[Bytes | None, HOW] = None
    """Most memory that the run may use, for example 2GB: planned before step 1, and enforced."""
    threads: Annotated[PositiveInt | None, HOW] = None
    """Threads of the matrix products; none means every free core."""
    heldout_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of a file's documents, in each language, kept out; a corpus has its own such part."""
    heldout_tokens: PositiveInt = 20_000
    """Held-out tokens that are measured, about, in each language."""
    evaluations: PositiveInt = 10
    """Measurements of the held-out loss in the whole run."""
    save_every: Annotated[PositiveInt, HOW] = 100
    """Steps between two checkpoints."""
    languages: tuple[Lang, ...] | None = None
    """Languages of the text to use; with just one, every line of a .txt file is in it."""
    licence: str | None = None
    """The text's licence, which the model's file will state as its own."""
    subject: str | None = None
    """Name of the model in tables; none makes one from its size and vocabulary."""
    seed: NonNegativeInt = 0
    """Seed of the first weights, the held-out documents and the order of the windows."""

    @property
    def micro_batches(self) -> int:
        """How many micro-batches make one optimiser step: as few as micro_tokens allow."""
        return -(-self.batch_tokens // self.micro_tokens)

    @property
    def micro_size(self) -> int:
        """Tokens of one micro-batch, at most: an equal part of batch_tokens."""
        return -(-self.batch_tokens // self.micro_batches)

    @model_validator(mode="before")
    @classmethod
    def _size_fills_in(cls, values: Any) -> Any:
        """A size stands for the shape that is not given; minutes stand for the tokens."""
        if not isinstance(values, dict):
            return values
        filled = {**SIZES.get(values.get("size", "4M"), {}), **values}
        if values.get("minutes") not in (None, "none"):
            filled = {"tokens": None, **filled}
        return filled

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tokens is None) == (self.minutes is None):
            raise ValueError("give one of tokens and minutes")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} kv_heads evenly")
        if self.context > self.micro_tokens:
            raise ValueError(f"micro_tokens {self.micro_tokens} hold no window of {self.context}")
        if self.context > self.micro_size:
            raise ValueError(
                f"batch_tokens {self.batch_tokens} make {self.micro_batches} micro-batches of "
                f"{self.micro_size} tokens, which hold no window of {self.context}; give other "
                "batch_tokens or micro_tokens, or a shorter context"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd, and rotations turn pairs")
        if self.vocabulary == "bpe" and self.vocab_size <= 258:
            raise ValueError("a BPE vocabulary needs vocab_size 259 or more; or --vocabulary byte")
        return self
