"""The settings of a recommendation."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from seemant.core.config import Bytes, Config
from seemant.core.records import Lang


class RecommendConfig(Config):
    """The smallest model for a device whose quality is not surely below the best that fits."""

    devices: tuple[str, ...] = Field(default=("this-machine", "board-4gb", "file-200mb"))
    """Devices or budgets to recommend for: this-machine, board-4gb, file-200mb, jetson-nano-4gb,
    orin-nano-8gb, phone-6gb, consumer-gpu-8gb."""
    lang: tuple[Lang, ...] = Field(default=("hi", "kn"), min_length=1)
    """Languages that the model must serve; the worst of them counts."""
    min_quality: float = 0.0
    """Floor of quality, PMI margin in nats a byte: the interval's lower end must be above it. Zero
    means: better than chance."""
    min_right: float = Field(default=0.5, ge=0, lt=1)
    """Floor on right answers, a share: the interval's lower end must be above it in each language.
    0.5 means: surely more than half of the answers are right. Zero asks for no evidence of answers,
    and still refuses a model whose answers are known to be no better than guessing."""
    max_memory: Bytes | None = None
    """Most resident memory at its peak, for example 3.2GB; none leaves it to the device."""
    max_latency: PositiveFloat | None = None
    """Most milliseconds for one token of the answer; none sets no floor."""
    max_file: Bytes | None = None
    """Largest model file, for example 200MB; none leaves it to the device."""
    bits: tuple[int, ...] = ()
    """Widths of the blocks' weights to recommend for besides, each by itself, for example 8 5 4."""
    nodes: str | None = None
    """Folder in which inputs lie under their names, for example runs/quick/nodes: with it, the
    command that serves a tuned model names its adapter by path."""
    resamples: PositiveInt = 10_000
    """Bootstrap resamples of the probe families."""
    seed: NonNegativeInt = 0
    """Seed of the resamples."""
