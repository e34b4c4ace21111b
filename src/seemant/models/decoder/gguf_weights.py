"""The tensors of a GGUF file as row blocks: dequantised, q and k in order, norms as HF stores them.

What was read does not stay in the process's memory: the mapped pages are let go.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from seemant.formats.gguf_read import GgufFile
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import Blocks, Weights, check_fit, rows_at_once
from seemant.models.hf_config import config_of_file, family_of_metadata, rope_factors_of
from seemant.models.names import ROPE_TENSORS, Family, permuted_heads, to_hf, values_to_hf


def gguf_weights(file: GgufFile) -> Weights:
    """Return the tensors of an open GGUF file.

    Raises:
        BadFile: not of a family read here, or tensors that do not fit the model.
    """
    family = family_of_metadata(file.metadata)
    names = {to_hf(n, family.name): n for n in file.tensors if n not in ROPE_TENSORS}
    shape = shape_of_config(config_of_file(file), rope_factors=rope_factors_of(file))
    check_fit(shape, {hf: file.tensors[n].shape for hf, n in names.items()}, str(file.path))
    return Weights(shape, {hf: _gguf_blocks(file, n, family) for hf, n in names.items()})


def _gguf_blocks(file: GgufFile, name: str, family: Family) -> Blocks:
    size, heads = file.tensors[name].shape, permuted_heads(name, family)
    per_head = size[0] // heads if heads else 1
    step = rows_at_once(size, per_head)

    def blocks() -> Iterator[Tensor]:
        if len(size) == 1:
            yield torch.from_numpy(values_to_hf(name, file.dequantize(name), family))
            return
        for start in range(0, size[0], step):
            values = file.rows(name, start, min(start + step, size[0]))
            n = len(values) // per_head  # whole heads are put in order by themselves
            few = replace(family, n_heads=n, n_kv_heads=n) if heads else family
            file.forget_pages()
            yield torch.from_numpy(np.ascontiguousarray(values_to_hf(name, values, few)))

    return blocks
