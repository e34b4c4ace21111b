"""The settings of a divergence."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from seemant.core.config import HOW, Config
from seemant.core.records import LANGUAGES, Lang


class DivergenceConfig(Config):
    """Compare a variant with its reference on held-out text, token by token."""

    languages: tuple[Lang, ...] = LANGUAGES
    """Languages of the text."""
    tokens_per_language: PositiveInt = 640
    """Scored tokens a language, about: paragraphs are taken in order until it is reached."""
    tokens_per_paragraph: int = Field(default=64, ge=8, le=256)
    """Longest piece of a paragraph, in tokens: many short chunks make a tighter interval."""
    weights: bool = True
    """Compare the variant's weights, in torch."""
    deployed: bool = True
    """Compare the variant's file, through llama.cpp."""
    subject: str | None = None
    """What the measurements call the variant; none means its own name."""
    threads: Annotated[PositiveInt, HOW] = 1
    """Threads of both engines."""
    seed: NonNegativeInt = 0
    """Seed of the bootstrap."""
