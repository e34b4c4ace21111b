"""The settings of a distillation run."""

from typing import Annotated

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from seemant.core.config import HOW, Config
from seemant.core.errors import BadConfig
from seemant.core.records import LANGUAGES, Lang
from seemant.models.backends.openai_address import read_address


class DistillConfig(Config):
    """Pairs from paragraphs: which teacher, how much it may write, when to give up."""

    teacher: str = "embedded:gemma-3-270m"
    """Model that writes the pairs: a reference, or openai:URL#MODEL for a server."""
    languages: tuple[Lang, ...] = LANGUAGES
    """Languages whose paragraphs are used."""
    limit: PositiveInt | None = None
    """Most paragraphs of each language, the first in the file; none means all."""
    pairs_per_paragraph: PositiveInt = 1
    """Pairs asked for each paragraph, each from another of its sentences."""
    attempts: PositiveInt = 3
    """Times that a pair is asked for until one passes the checks."""
    keep_input: bool = True
    """Put the paragraph into the pair's input; without it, a pair is a bare question."""
    max_new_tokens: PositiveInt = 64
    """Most tokens that the embedded teacher writes for one pair."""
    server_tokens: PositiveInt = 400
    """Most tokens that a server writes for one pair: JSON in Indic scripts is long."""
    temperature: NonNegativeFloat = 0.0
    """Sampling temperature of a first attempt; 0 takes the likeliest token."""
    retry_temperature: NonNegativeFloat = 0.7
    """Temperature of a server's later attempts; the embedded teacher asks otherwise instead."""
    workers: Annotated[PositiveInt | None, HOW] = None
    """Worker processes of the embedded teacher (none: one a core, at most 2), or requests that a
    server gets at once (none: 4)."""
    threads: Annotated[PositiveInt, HOW] = 1
    """Threads of each worker process; more than free cores make it many times slower."""
    context: int = Field(default=1024, ge=256)
    """Context of the embedded teacher, in tokens."""
    timeout_s: Annotated[PositiveFloat, HOW] = 120.0
    """Seconds without an answer after which a server counts as hanging."""
    retries: Annotated[NonNegativeInt, HOW] = 3
    """Times that a failed request is repeated before the run stops."""
    give_up_after: Annotated[PositiveInt, HOW] = 8
    """Unreadable answers in a row after which a server counts as out of order."""
    subject: str | None = None
    """Name of the teacher in tables; none takes the model's."""
    seed: NonNegativeInt = 0
    """Seed of sampled attempts and of the samples shown."""

    @field_validator("teacher")
    @classmethod
    def _address_is_one(cls, teacher: str) -> str:
        """Refuse an address that is none or holds a secret before it is written anywhere."""
        if teacher.startswith("openai:"):
            try:
                read_address(teacher.removeprefix("openai:").partition("#")[0])
            except BadConfig as error:
                raise ValueError(str(error)) from error
        return teacher
