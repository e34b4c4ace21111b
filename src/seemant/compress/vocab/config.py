"""The settings of the stage "trim"."""

from pydantic import Field

from seemant.core.config import Config
from seemant.core.records import Lang


class TrimConfig(Config):
    """A model with only those rows of its vocabulary that a text needs."""

    languages: tuple[Lang, ...] = ()
    """languages that must have text; none: those that the text has enough of"""

    keep: tuple[str, ...] = ()
    """words or signs whose tokens stay whatever the text says, names for example"""

    at_least: int = Field(default=1, ge=1)
    """how often the text must have a token for its row to stay"""

    scored: int = Field(default=24, ge=0)
    """held-out paragraphs a language whose nats a byte are measured before and after; 0: none"""

    seed: int = Field(default=0, ge=0)
    """of the choice of those paragraphs and of the intervals"""

    subject: str = ""
    """what the measurements are about; default: MODEL+trimmed from the input's label"""
