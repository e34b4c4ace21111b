"""Bytes of a frozen matrix, counted in whole numbers: nothing is built, torch is not imported."""

from seemant.core.errors import BadConfig, nearest

KINDS = ("float32", "bfloat16", "int8", "int4", "nf4")
INT4_GROUP = 32  # columns that share a multiplier
NF4_GROUP = 64  # weights a block, bitsandbytes' default
NF4_NESTED = 256  # block maxima under one float scale, bitsandbytes' choice
NF4_TABLE = 256  # entries of the maxima's 8-bit code


def n_bytes_of(kind: str, shape: tuple[int, int]) -> int:
    """Return exactly what `build.frozen(kind, shape, ...).n_bytes` would be.

    Raises:
        BadConfig: no such kind, or columns that NF4 cannot take.
    """
    rows, columns = shape
    match kind:
        case "float32":
            return 4 * rows * columns
        case "bfloat16":
            return 2 * rows * columns
        case "int8":  # a bfloat16 scale a row
            return rows * (columns + 2)
        case "int4":  # two codes a byte, a multiplier a group, a bfloat16 scale a row
            return rows * (int4_groups(columns) * (INT4_GROUP // 2 + 1) + 2)
        case "nf4":  # two codes a byte, 8 bits a block, float32 scales, an offset, the table
            check_nf4(columns)
            n_blocks = rows * columns // NF4_GROUP
            floats = -(-n_blocks // NF4_NESTED) + 1 + NF4_TABLE
            return n_blocks * (NF4_GROUP // 2 + 1) + 4 * floats
    raise unknown(kind)


def int4_groups(columns: int) -> int:
    """Return how many groups a row of int4 has; the last may be padded."""
    return -(-columns // INT4_GROUP)


def check_nf4(columns: int) -> None:
    """Refuse columns whose blocks would cross rows.

    Raises:
        BadConfig: they are not a multiple of 64.
    """
    if columns % NF4_GROUP:
        raise BadConfig(
            f"NF4 has blocks of {NF4_GROUP} weights, and a matrix here has {columns} columns",
            fix="use --base int4 or int8",
        )


def unknown(kind: str) -> BadConfig:
    """Return the error for a kind that does not exist."""
    return BadConfig(f"no kind of frozen matrix is called {kind!r}", fix=nearest(kind, KINDS))
