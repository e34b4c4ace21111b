"""The settings of the stage "compress"."""

from typing import Self

from pydantic import Field, model_validator

from seemant.core.config import Config
from seemant.formats.grids import Grid
from seemant.formats.packing import BLOCK, CONTAINERS, container_of


class CompressConfig(Config):
    """How a model's matrices are rounded (method: RTN, nearest value, no calibration)."""

    bits: int = Field(default=4, ge=2, le=8)
    """bits a weight of the blocks' matrices, 2 to 8"""

    group: int | None = Field(default=32, ge=BLOCK, multiple_of=BLOCK)
    """weights that share a scale, a multiple of 32 that divides every row; null: per channel"""

    symmetric: bool = True
    """value = d*q (true), or d*q + m with an offset (false)"""

    embedding_bits: int = Field(default=8, ge=2, le=8)
    """bits a weight of the embedding and the output head, symmetric in groups of 32; below 8,
    small multilingual models lose Indic scripts first"""

    name: str = ""
    """what the variant is called; default: from the settings, for example "q4_0-g32" """

    subject: str = ""
    """what the measurements are about; default: MODEL[+lora]/NAME from the inputs' labels"""

    @property
    def block_grid(self) -> Grid:
        """The grid of the blocks' matrices."""
        return Grid(self.bits, self.group, self.symmetric)

    @property
    def embedding_grid(self) -> Grid:
        """The grid of the embedding and of the output head."""
        return Grid(self.embedding_bits, BLOCK, symmetric=True)

    @property
    def variant_name(self) -> str:
        """The given name or one that tells the settings."""
        if self.name:
            return self.name
        group = "channel" if self.group is None else f"g{self.group}"
        tail = "" if self.embedding_bits == 8 else f"-e{self.embedding_bits}"
        return f"{grid_name(self.block_grid)}-{group}{tail}"

    @model_validator(mode="after")
    def _no_path_in_the_name(self) -> Self:
        if "/" in self.name:
            raise ValueError("a variant's name holds no '/'")
        return self


def grid_name(grid: Grid) -> str:
    """Return "q4_0" where a layout holds the grid by nature, else for example "int3-sym"."""
    container = container_of(grid)
    if container is not None and CONTAINERS[container].bits == grid.bits:
        return container.lower()
    return f"int{grid.bits}-{'sym' if grid.symmetric else 'asym'}"
