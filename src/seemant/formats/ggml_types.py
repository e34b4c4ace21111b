"""The storage types of ggml tensors: their names, numbers and block sizes."""

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

TYPE_NAMES: dict[int, str] = {int(kind): kind.name for kind in GGML_QUANT_SIZES}
TYPE_IDS: dict[str, int] = {name: number for number, name in TYPE_NAMES.items()}


def block_of(type_name: str) -> tuple[int, int]:
    """Return how many weights a block of this type holds, and in how many bytes.

    Raises:
        KeyError: ggml has no such type.
    """
    weights, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(TYPE_IDS[type_name])]
    return int(weights), int(n_bytes)


def row_bytes(type_name: str, columns: int) -> int:
    """Return the bytes of one row of `columns` weights.

    Raises:
        ValueError: the row is not a whole number of blocks.
    """
    weights, n_bytes = block_of(type_name)
    if columns % weights:
        raise ValueError(
            f"a row of {columns} is not a whole number of {type_name} blocks of {weights}"
        )
    return columns // weights * n_bytes
