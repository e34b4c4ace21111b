"""NF4 as bitsandbytes keeps it: 16 normal-quantile levels, blocks of 64, double quantisation.

    Ŵ_k = level(Q_k) a_b        a_b = table(c_b) e_(b // 256) + offset

for weight k of block b = k // 64 of the flattened matrix: a_b is the block's max|w|, itself kept
in 8 bits under a float32 scale e for every 256 blocks (Dettmers et al., arXiv 2305.14314,
equations 4 to 6). The codes, kernels and tables are bitsandbytes' own, so the numbers are those
of QLoRA elsewhere; its import costs about 120 MB and is done only here, when it is needed.
"""

import logging
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from seemant.core.errors import BadConfig
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.size import NF4_GROUP, NF4_NESTED, check_nf4

_BLOCK = 1 << 19  # weights dequantised at a time: bitsandbytes gives a fresh tensor


class Nf4Matrix(FrozenMatrix):
    """Codes uint8 (rows, columns / 2); maxima uint8 (rows, columns / 64) and their scales."""

    codes: Tensor
    maxima: Tensor
    nested: Tensor
    offset: Tensor
    table: Tensor

    def __init__(self, shape: tuple[int, int], pieces: Iterable[Tensor]) -> None:
        super().__init__("nf4", shape)
        check_nf4(shape[1])
        bnb = _functional()
        codes = torch.empty(shape[0], shape[1] // 2, dtype=torch.uint8)
        maxima = torch.empty(shape[0], shape[1] // NF4_GROUP)
        start = 0
        for piece in pieces:
            stop = start + len(piece)
            packed, state = bnb.quantize_4bit(
                piece.contiguous(), blocksize=NF4_GROUP, quant_type="nf4"
            )
            codes[start:stop] = packed.view(stop - start, -1)
            maxima[start:stop] = state.absmax.view(stop - start, -1)
            start = stop
        # As quantize_4bit(compress_statistics=True) would, over the whole matrix.
        offset = maxima.mean().view(1)
        quantised, state = bnb.quantize_blockwise(maxima.flatten() - offset, blocksize=NF4_NESTED)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("maxima", quantised.view(maxima.shape), persistent=False)
        self.register_buffer("nested", state.absmax, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("table", state.code.clone(), persistent=False)

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows by id, a fresh (N, columns) of dtype."""
        per_row = self.maxima.shape[1]
        block = ids.unsqueeze(1) * per_row + torch.arange(per_row, device=ids.device)
        nested = self.nested[block // NF4_NESTED]
        maxima = self.table[self.maxima[ids].int()] * nested + self.offset
        return self._weights(self.codes[ids], maxima, dtype).to(dtype)

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        maxima = self._maxima(start, stop)
        step = max(1, _BLOCK // self.shape[1])
        for a in range(start, stop, step):
            b = min(a + step, stop)
            weights = self._weights(self.codes[a:b], maxima[a - start : b - start], out.dtype)
            out[a - start : b - start] = weights

    def _maxima(self, start: int, stop: int) -> Tensor:
        """Return the blocks' maxima of some rows, float32 (rows, blocks)."""
        per_row = self.maxima.shape[1]
        first = start * per_row // NF4_NESTED  # the nested block that the first row begins in
        skipped = start * per_row - first * NF4_NESTED
        codes = self.maxima.flatten()[first * NF4_NESTED : stop * per_row]
        values: Tensor = _functional().dequantize_blockwise(
            codes, absmax=self.nested[first:], code=self.table, blocksize=NF4_NESTED
        )
        return (values + self.offset)[skipped:].view(stop - start, per_row)

    def _weights(self, codes: Tensor, maxima: Tensor, dtype: torch.dtype) -> Tensor:
        """Return a fresh (n, columns) of dtype, or of float32 where dtype is wider."""
        # The operator below functional.dequantize_4bit, whose bookkeeping a block costs as much
        # as the block.
        _functional()  # a copy may have come from another process
        kept = dtype if dtype.itemsize == 2 else torch.float32
        shape = (len(codes), self.shape[1])
        weights: Tensor = torch.ops.bitsandbytes.dequantize_4bit.default(
            codes, maxima.flatten(), NF4_GROUP, "nf4", shape, kept
        )
        return weights


@cache
def _functional() -> Any:
    # It warns of optional kernels that it would download; we do not use them.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        return import_module("bitsandbytes.functional")
    except ImportError as error:
        raise BadConfig(
            "NF4 needs the package bitsandbytes, which is not installed",
            fix='pip install "seemant[nf4]", or use --base int4',
        ) from error
