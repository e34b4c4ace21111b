"""The settings of storing a teacher's token probabilities."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from seemant.core.config import HOW, Config
from seemant.core.records import Lang


class TargetsConfig(Config):
    """A teacher reads pairs with their answers and says, token by token, what it would expect."""

    k: int = Field(default=64, ge=2)
    """Tokens kept at each place: the answer's own and the teacher's best; all others as one sum."""
    temperature: PositiveFloat = 1.0
    """Temperature of the stored probabilities; training has to use the same."""
    base: Literal["float", "int8", "int4", "nf4"] = "float"
    """How the teacher's matrices are held; less than float moves its probabilities a little."""
    embedding: Literal["float", "int8", "int4"] = "float"
    """How the teacher's embedding and head are held."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Number type of the teacher's activations and float weights."""
    max_length: int = Field(default=256, ge=8)
    """Longest row in tokens, prompt and answer; longer pairs get no targets."""
    on_long: Literal["reject", "cut-input"] = "reject"
    """What happens to a longer row: it gets no targets, or its `input` is shortened."""
    study_prompt: bool = False
    """Put the study's system prompt before every question, in the question's language."""
    tokens: PositiveInt = 512
    """Tokens that the teacher reads at a time; memory and speed only."""
    vocab_block: Annotated[PositiveInt, HOW] = 8192
    """Vocabulary rows held at a time; memory only."""
    shard: PositiveInt = 256
    """Pairs in one file, and the work that a kill can lose."""
    threads: Annotated[PositiveInt | None, HOW] = None
    """Threads of the matrix products; none means every free core."""
    languages: tuple[Lang, ...] | None = None
    """Languages to read; none means those that the teacher carries."""
    subject: str | None = None
    """Name of the teacher in tables; none derives it from the model's."""
