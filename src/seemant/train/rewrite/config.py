"""The settings of letting a student reword answers."""

from typing import Annotated, Literal

from pydantic import NonNegativeInt, PositiveInt

from seemant.core.config import HOW, Config
from seemant.core.records import Lang


class RewriteConfig(Config):
    """A student rewords each answer, given question and answer; facts must survive."""

    backend: Literal["llamacpp", "torch"] = "llamacpp"
    """The engine that writes."""
    max_new_tokens: PositiveInt = 96
    """Longest rewording in tokens; a cut one is not kept."""
    languages: tuple[Lang, ...] | None = None
    """Languages to reword; pairs of others keep their answers. None means the model's own."""
    context: PositiveInt = 1024
    """Tokens that prompt and answer may fill together."""
    threads: Annotated[PositiveInt, HOW] = 1
    """Threads of the engine."""
    subject: str | None = None
    """What the measurements call the model; none means its reference's own name."""
    seed: NonNegativeInt = 0
    """Kept for the record: rewording is greedy."""
