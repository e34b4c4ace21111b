"""The settings of a corpus: what is sampled, and what is set aside."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from seemant.core.config import Config
from seemant.core.records import LANGUAGES, Lang


class CorpusConfig(Config):
    """A uniform sample of paragraphs, in the languages asked for."""

    languages: tuple[Lang, ...] = Field(default=LANGUAGES, min_length=1)
    """Languages to keep, told by script; other lines are set aside."""
    n: PositiveInt | None = None
    """Paragraphs in all. None: 6,000 of your files, or the whole of the shipped corpus."""
    per_language: PositiveInt | None = None
    """Paragraphs of each language, in place of `n`."""
    min_characters: PositiveInt = 1
    """Shorter paragraphs are set aside."""
    max_characters: int = Field(default=5000, ge=10)
    """Longer paragraphs are cut."""
    text_field: str = "text"
    """Where the text stands in a JSON line."""
    keep_others: bool = False
    """Take lines in another language of a script that is carried (Marathi as Hindi, Hindi in Latin
    letters as English), which are set aside else."""
    statistics: Literal["brief", "full"] = "brief"
    """full adds words, script and news-likeness, on up to 500 paragraphs a language."""
    subject: str = "corpus"
    """Name of the corpus in tables."""
    seed: NonNegativeInt = 0
    """Seed of the sample."""
