"""The settings of an attribution."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from seemant.core.config import HOW, Config
from seemant.core.records import LANGUAGES, Lang


class AttributionConfig(Config):
    """Where a variant's divergence comes from: layer by layer, language by language."""

    languages: tuple[Lang, ...] = LANGUAGES
    """Languages of the text."""
    tokens_per_language: PositiveInt = 640
    """Scored tokens a language, about: paragraphs are taken in order until it is reached."""
    tokens_per_paragraph: int = Field(default=64, ge=8, le=256)
    """Longest piece of a paragraph, in tokens: many short chunks make a tighter interval."""
    remove: bool = True
    """Restore every layer by itself, too, while all others stay compressed."""
    twins: bool = True
    """Replace every layer's error by noise of its size, and by itself with permuted columns."""
    kinds: bool = False
    """Compress every kind of matrix in every layer by itself, too: two to three times the work."""
    subject: str | None = None
    """What the measurements call the variant; none means its own name."""
    threads: Annotated[PositiveInt, HOW] = 1
    """Threads of torch."""
    seed: NonNegativeInt = 0
    """Seed of the bootstrap and of the noise."""
