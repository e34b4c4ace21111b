"""Formats as variants' names tell them."""

from seemant.formats.packing import BLOCK, CONTAINERS, container_of
from seemant.formats.tensor_format import Format


def grid_name(format: Format) -> str:
    """Return "q4_0" where a layout holds the grid by nature, else for example "int3-sym"."""
    if format.is_k or format.is_float:
        return format.name
    grid = format.grid
    container = container_of(grid)
    if container is not None and CONTAINERS[container].bits == grid.bits:
        return container.lower()
    return f"int{grid.bits}-{'sym' if grid.symmetric else 'asym'}"


def format_name(format: Format) -> str:
    """Return a format with its groups: "q4_0-g32", "int3-sym-channel"."""
    if format.is_k or format.is_float:
        return format.name
    group = "channel" if format.grid.group is None else f"g{format.grid.group}"
    return f"{grid_name(format)}-{group}"


def short_format(format: Format) -> str:
    """Return "4" of a symmetric grid in groups of 32, else the name."""
    grid = format.grid
    plain = grid.symmetric and grid.group == BLOCK and not format.is_k
    return str(grid.bits) if plain else format.name
