"""Matrix products by the fastest library that torch carries for this processor.

`torch.mm` hands float32 to MKL, whose kernels for AMD processors reach less than half of what
oneDNN's reach there (Zen 5, one thread: 116 against 250 GFLOP/s); both sum in float32. oneDNN is
asked through the operator that torch's own compiler emits for linear layers. It has no gradient
formula: these functions are for use inside autograd functions.
"""

from functools import cache

import torch
from torch import Tensor

from seemant.core.machine import hardware

_ROWS = 256  # whose products are summed in one go
_LONG = 512  # a sum of x wᵀ that is split, too: each part of w must be copied for that


def product(x: Tensor, w: Tensor, out: Tensor | None = None) -> Tensor:
    """Return x wᵀ: x (N, k), w (R, k) of one dtype -> (N, R), in `out` or fresh.

    w may be a transposed view: `product(g, w.T)` is g w. Long sums are split where a gradient may
    depend on them; in inference mode, where none does, they are not, at up to twice the speed.
    """
    if _by_onednn(x, w):
        long = w.shape[1] >= _LONG and w.stride(1) == 1 and not torch.is_inference_mode_enabled()
        return _sum_of_parts(x, w) if long else _linear(x, w)
    return torch.mm(x, w.T) if out is None else torch.mm(x, w.T, out=out)


def product_by_rows(g: Tensor, w: Tensor) -> Tensor:
    """Return g w: g (N, R), w (R, k) of one dtype -> (N, k).

    oneDNN sums a float32 product over all of R in one go, at up to twice MKL's error; here the
    sums of 256 rows of w are added, at MKL's error and for a tenth more time.
    """
    if not _by_onednn(g, w) or len(w) <= _ROWS:
        return product(g, w.T)
    total = _linear(g[:, :_ROWS], w[:_ROWS].T)
    for start in range(_ROWS, len(w), _ROWS):
        rows = slice(start, start + _ROWS)
        total = torch.ops.mkldnn._linear_pointwise.binary(g[:, rows], total, w[rows].T, None, "add")
    return total


def wide_product(
    x: Tensor, w: Tensor, out: Tensor, beside: Tensor, *, exact: bool = True
) -> Tensor:
    """Return x wᵀ of bfloat16 in `out` (N, R) float32; `beside` (N, R) bfloat16 is working space.

    exact: see `accumulate`. Not exact: the products are rounded to bfloat16.
    """
    if exact and x.is_cuda:
        return out.copy_(torch.mm(x, w.T, out_dtype=out.dtype))
    if exact and not (onednn_takes(x.dtype) and len(x) and len(w)):
        return torch.mm(x.to(out.dtype), w.to(out.dtype).T, out=out)
    r = torch.mm(x, w.T, out=beside)
    out.copy_(r)
    if exact:
        out.add_(torch.ops.mkldnn._linear_pointwise.binary(x, r.neg_(), w, None, "add"))
    return out


def accumulate(acc: Tensor, p: Tensor, w: Tensor, *, exact: bool = True) -> Tensor:
    """Return acc + p w, which may be acc's own storage: acc (N, k), p (N, R), w (R, k).

    p and w have one dtype; acc has it too, or is float32 beside bfloat16. For bfloat16, `exact`
    keeps what rounding the product to bfloat16 would lose: r = bf16(p w) and then bf16(p w - r)
    are added, 16 bits of significand together. Not exact: r alone, in half the time.
    """
    if acc.dtype == p.dtype:
        if _by_onednn(p, w):
            sum_: Tensor = torch.ops.mkldnn._linear_pointwise.binary(p, acc, w.T, None, "add")
            return sum_
        return acc.addmm_(p, w)
    if exact and p.is_cuda:
        return acc.add_(torch.mm(p, w, out_dtype=acc.dtype))
    if exact and not (onednn_takes(p.dtype) and len(p) and len(w)):
        return acc.addmm_(p.to(acc.dtype), w.to(acc.dtype))
    r = torch.mm(p, w)
    acc.add_(r)
    if exact:
        acc.add_(torch.ops.mkldnn._linear_pointwise.binary(p, r.neg_(), w.T, None, "add"))
    return acc


def _sum_of_parts(x: Tensor, w: Tensor) -> Tensor:
    """Return x wᵀ as a sum over parts of k; copied, as strided columns cost a thousandfold."""
    total = _linear(x[:, :_ROWS], w[:, :_ROWS].contiguous())
    for start in range(_ROWS, w.shape[1], _ROWS):
        part = slice(start, start + _ROWS)
        total = torch.ops.mkldnn._linear_pointwise.binary(
            x[:, part], total, w[:, part].contiguous(), None, "add"
        )
    return total


def _linear(x: Tensor, w: Tensor) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
    return y


def _by_onednn(x: Tensor, w: Tensor) -> bool:
    plain = x.dtype == w.dtype == torch.float32 and x.device.type == "cpu"
    return plain and x.numel() > 0 and w.numel() > 0 and _slow_mkl() and onednn_takes(x.dtype)


def onednn_takes(dtype: torch.dtype) -> bool:
    """Return whether oneDNN multiplies matrices of this type here.

    The switch of `torch.backends.mkldnn.flags` holds here too.
    """
    return bool(torch._C._get_mkldnn_enabled()) and _has_run(dtype)


@cache
def _has_run(dtype: torch.dtype) -> bool:
    """Try it: the operator may be there and refuse (bfloat16 on a CPU with AVX2 alone does)."""
    if not (torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    x, w = torch.ones(5, 32, dtype=dtype), torch.ones(7, 32, dtype=dtype)
    acc = torch.ones(5, 7, dtype=dtype)
    try:
        for each in (w, w.T.contiguous().T):
            if not (_linear(x, each) == 32).all():
                return False
            sums = torch.ops.mkldnn._linear_pointwise.binary(x, acc, each, None, "add")
            if not (sums == 33).all():
                return False
    except RuntimeError:
        return False
    return True


@cache
def _slow_mkl() -> bool:
    # Intel's own processors get MKL's best kernels; elsewhere (ARM) torch.mm is not MKL.
    facts = hardware()
    return torch._C.has_mkl and "intel" not in str(facts["cpu"]).lower()
