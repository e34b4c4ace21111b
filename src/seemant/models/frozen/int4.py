"""int4: groups of 32 neighbouring weights share a scale, which is a small integer times the row's.

For row i and group g of its columns, with w* the weight of the largest magnitude in the group:

    d_ig = w* / c              what the group asks for: c of four values near -8, the one with the
                               least squared error; signed, so that -8 is used too (as Q4_0)
    s_i  = max_g |d_ig| / 127  rounded up to bfloat16
    m_ig = round(d_ig / s_i)   int8, never 0 where the group is not
    Q_ij = clip(round(W_ij / (s_i m_ig)), -8, 7)
    Ŵ_ij = s_i m_ig Q_ij

The integers m Q (|m Q| <= 1016) are what products use, and s_i scales their results
(`matrix.py`): unpacking needs integer passes and one cast, which took a third less time than
float scales a group, at the same error on real weights, in 4.25 bits a weight instead of 4.5.
The choice of c takes 3 to 15 % off the error of Gemma's and SmolLM2's matrices.

Two codes a byte. The low nibble of byte j is column j's code plus 8, the high nibble is column
(half + j)'s in two's complement, where half is half the columns, padded to whole groups: both
come out by vector operations over long contiguous runs.
"""

from collections.abc import Iterable
from functools import lru_cache
from threading import get_ident

import torch
from torch import Tensor
from torch.nn.functional import pad

from seemant.models.frozen.int8 import row_scale
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.size import INT4_GROUP as GROUP
from seemant.models.frozen.size import int4_groups

_TOP = 127  # of the groups' multipliers
_DIVISORS = (-8.0, -8.6, -7.4, -6.7)  # c: where the furthest weight would land
_BLOCK = 1 << 19  # weights unpacked at a time: their passes stay in a core's cache


class Int4Matrix(FrozenMatrix):
    """Codes int8 (rows, padded / 2), multipliers int8 (rows, groups), scales bfloat16 (rows,)."""

    codes: Tensor
    multiplier: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, int], pieces: Iterable[Tensor]) -> None:
        super().__init__("int4", shape)
        n_groups = int4_groups(shape[1])
        codes = torch.empty(shape[0], n_groups * GROUP // 2, dtype=torch.int8)
        multiplier = torch.empty(shape[0], n_groups, dtype=torch.int8)
        scale = torch.empty(shape[0], dtype=torch.bfloat16)
        start = 0
        for piece in pieces:
            stop = start + len(piece)
            codes[start:stop], multiplier[start:stop], scale[start:stop] = quantised(piece)
            start = stop
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("multiplier", multiplier, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows by id, a fresh (N, columns) of dtype."""
        rows = torch.empty(len(ids), 2 * self.codes.shape[1], dtype=dtype, device=self.device)
        _unpack_into(rows, self.codes[ids], self.multiplier[ids])
        return rows.mul_(self.scale[ids].to(dtype).unsqueeze(1))[:, : self.shape[1]]

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        padded = 2 * self.codes.shape[1]
        whole = out if padded == self.shape[1] else out.new_empty(stop - start, padded)
        _unpack_into(whole, self.codes[start:stop], self.multiplier[start:stop])
        if whole is not out:  # ragged columns pass a padded copy
            out.copy_(whole[:, : self.shape[1]])

    def _scale(self, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        return self.scale[start:stop].to(dtype)


def quantised(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes (packed), multipliers and scales of w (rows, columns) float32."""
    n_groups = int4_groups(w.shape[1])
    groups = pad(w, (0, n_groups * GROUP - w.shape[1])).view(len(w), n_groups, GROUP)
    asked = _asked(groups).squeeze(-1)
    scale = row_scale(asked.abs().amax(1), _TOP)
    ratio = torch.nan_to_num(asked / scale.float().unsqueeze(1))  # 0 / 0: a row of zeros
    multiplier = torch.where(ratio.abs() < 1, ratio.sign(), ratio.round())
    codes = _codes(groups, (multiplier * scale.float().unsqueeze(1)).unsqueeze(-1))
    return pack(codes.to(torch.int8).flatten(1)), multiplier.to(torch.int8), scale


def _asked(groups: Tensor) -> Tensor:
    """Return d of every group: groups (rows, n, 32) -> (rows, n, 1)."""
    furthest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    best = least = None
    for divisor in _DIVISORS:
        d = furthest / divisor
        error = (_codes(groups, d).mul_(d).sub_(groups)).square_().sum(-1, keepdim=True)
        if best is None or least is None:
            best, least = d, error
        else:
            best, least = torch.where(error < least, d, best), torch.minimum(error, least)
    assert best is not None
    return best


def _codes(groups: Tensor, step: Tensor) -> Tensor:
    """Return round(w / step) within -8..7, as floats; 0 where the step is 0."""
    return torch.where(step != 0, groups / step, 0).round_().clamp_(-8, 7)


def pack(codes: Tensor) -> Tensor:
    """Return two codes a byte: codes int8 (rows, 2 half), -8..7 -> int8 (rows, half)."""
    low, high = codes.chunk(2, dim=1)
    return (low + 8) | (high << 4)


def unpack(packed: Tensor, out: Tensor) -> Tensor:
    """Return the codes, -8..7, in out: packed int8 (rows, half) -> int8 (rows, 2 half)."""
    low, high = out.chunk(2, dim=1)
    torch.bitwise_and(packed, 15, out=low)
    low.sub_(8)
    torch.bitwise_right_shift(packed, 4, out=high)  # arithmetic: the sign comes along
    return out


def _unpack_into(out: Tensor, packed: Tensor, multiplier: Tensor) -> None:
    """Write m Q into out (rows, padded), float, a block of rows at a time."""
    n_rows, padded = out.shape
    if out.device.type == "cpu":
        step = max(1, min(n_rows, _BLOCK // padded))
        codes, products = _working_space(max(padded, _BLOCK), get_ident())
    else:
        step = n_rows
        codes = torch.empty(n_rows * padded, dtype=torch.int8, device=out.device)
        products = torch.empty(n_rows * padded, dtype=torch.int16, device=out.device)
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        n = stop - start
        narrow = unpack(packed[start:stop], codes[: n * padded].view(n, padded))
        wide = products[: n * padded].view(n, padded).copy_(narrow)
        wide.view(n, -1, GROUP).mul_(multiplier[start:stop].to(torch.int16).unsqueeze(-1))
        out[start:stop].copy_(wide)


@lru_cache(maxsize=4)
def _working_space(n: int, thread: int) -> tuple[Tensor, Tensor]:
    """Return int8 and int16 buffers of n weights, a thread's own, the same ones every time.

    Fresh ones would be mapped and cleared by the system in every call where the allocator's
    mmap threshold is small, as it is in runs under a memory limit: half as much time again.
    """
    return torch.empty(n, dtype=torch.int8), torch.empty(n, dtype=torch.int16)
