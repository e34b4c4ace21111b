"""AWQ's settings. Nothing here imports torch."""

from dataclasses import dataclass

from seemant.core.errors import BadConfig
from seemant.formats.tensor_format import Search

ALPHAS = tuple(round(0.05 * i, 2) for i in range(20))


@dataclass(frozen=True, slots=True, kw_only=True)
class AwqConfig:
    """How AWQ searches.

    alphas: exponents tried; 0 always is. verify: how many others go through the block.
    search: of the grids; give the one that the matrices will be rounded with.
    weighed: whether that search weighs squared errors by the mean squares of the input.
    screen_rows: rows of a matrix that the screening looks at, evenly spread; None: all.
    clip, max_shrink, clip_steps: whether, how far and how finely ranges are clipped.
    """

    alphas: tuple[float, ...] = ALPHAS
    verify: int = 3
    search: Search = "minmax"
    weighed: bool = True
    screen_rows: int | None = 512
    clip: bool = True
    max_shrink: float = 0.5
    clip_steps: int = 20

    def __post_init__(self) -> None:
        if not all(0 <= alpha <= 1 for alpha in self.alphas):
            raise BadConfig(f"awq.alphas = {self.alphas}", fix="use exponents from 0 to 1")
        if not 0 <= self.max_shrink < 1:
            raise BadConfig(f"awq.max_shrink = {self.max_shrink}", fix="use 0 up to below 1")
        for key in ("verify", "clip_steps", "screen_rows"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise BadConfig(f"awq.{key} = {value}", fix="use a whole number from 1")
