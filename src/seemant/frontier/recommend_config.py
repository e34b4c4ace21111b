"""The settings of a recommendation."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from seemant.core.config import Config
from seemant.core.records import Lang


class RecommendConfig(Config):
    """The smallest model for a device whose quality is not surely below the best that fits."""

    devices: tuple[str, ...] = Field(default=("this-machine", "board-4gb", "file-200mb"))
    """Devices or budgets to recommend for; `seemant bench --help` tells where they are listed."""
    lang: tuple[Lang, ...] = Field(default=("hi", "kn"), min_length=1)
    """Languages that the model must serve; the worst of them counts."""
    min_quality: float = 0.0
    """Floor of quality, PMI margin in nats a byte: the interval's lower end must be above it. Zero
    means: better than chance."""
    max_memory: PositiveFloat | None = None
    """Most resident memory at its peak, in bytes; none leaves it to the device."""
    max_latency_ms: PositiveFloat | None = None
    """Most milliseconds for one token of the answer; none sets no floor."""
    max_file_bytes: PositiveInt | None = None
    """Largest model file, in bytes; none leaves it to the device."""
    nodes: str | None = None
    """Folder in which inputs lie under their names, for example runs/quick/nodes: with it, the
    command that serves a tuned model names its adapter by path."""
    resamples: PositiveInt = 10_000
    """Bootstrap resamples of the probe families."""
    seed: NonNegativeInt = 0
    """Seed of the resamples."""
