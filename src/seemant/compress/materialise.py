"""A variant's weights as values, whichever file holds them: for evaluation with torch."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.run import CODES_NAME, MODEL_NAME
from seemant.core.errors import BadFile
from seemant.formats.codes import load_codes
from seemant.formats.gguf_read import open_gguf


def variant_weights(variant: Path, base: Path) -> dict[str, NDArray[np.float32]]:
    """Return every tensor of a variant by its GGUF name, float32 in numpy order.

    Tensors that the variant does not hold (the norms of a torch-only one) come from the base file.

    Raises:
        BadFile: the folder holds no variant.
    """
    if (variant / MODEL_NAME).is_file():
        file = open_gguf(variant / MODEL_NAME)
        return {name: file.dequantize(name) for name in file.tensors}
    if not (variant / CODES_NAME).is_file():
        raise BadFile(
            "no variant here: neither model.gguf nor codes.safetensors",
            where=str(variant),
            fix="name the folder of a finished compress run",
        )
    own = load_codes(variant / CODES_NAME)
    kept = open_gguf(base)
    return {name: own[name] if name in own else kept.dequantize(name) for name in kept.tensors}
