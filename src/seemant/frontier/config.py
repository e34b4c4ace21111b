"""The settings of the frontier."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from seemant.core.config import Config
from seemant.core.records import LANGUAGES, Lang


class FrontierConfig(Config):
    """Which candidates no other one beats on every axis, and how sure that is."""

    languages: tuple[Lang, ...] = LANGUAGES
    """Languages whose quality is an axis; one that no candidate was probed in is left out."""
    resamples: PositiveInt = 10_000
    """Bootstrap resamples of the probe families."""
    kld_limit: PositiveFloat = 0.5
    """A variant above this divergence (nats/token, as deployed) in a language is damaged there."""
    kld_ratio: float = Field(default=3.0, ge=1)
    """A variant whose worst language diverges this many times more than its best is uneven."""
    seed: NonNegativeInt = 0
    """Seed of the resamples."""
