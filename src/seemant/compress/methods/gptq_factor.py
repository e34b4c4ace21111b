"""The factor of the Hessian that GPTQ's loop reads: U with H⁻¹ = Uᵀ U, U upper triangular.

    J H J = L Lᵀ  (J turns the order round)   =>   U = J L⁻¹ J

One Cholesky of H itself and one triangular inverse, 2/3 n³ in float64: half of what inverting H
and factoring again costs, and H⁻¹ is never formed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.core.errors import BadFile

_AT_ONCE = 256  # columns of the inverse that are solved for together


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """lower: Uᵀ (C, C), so that what column j needs of U lies in a row. dead: (C,) bool.

    damp: the share of the mean diagonal that was added in the end. added: that number itself.
    """

    lower: Tensor
    dead: Tensor
    damp: float
    added: float


def factor(
    hessian: Tensor,
    columns: Tensor,
    damp: float,
    *,
    name: str = "",
    dtype: torch.dtype = torch.float64,
) -> Factor:
    """Return the factor of H (C, C), damped, in the order of `columns`; rounded to `dtype`.

    A dead column (H_jj = 0: its input was always 0) gets H_jj = 1. Where the Cholesky fails,
    damping grows tenfold up to 1. At most three float64 matrices are there at a time.

    Raises:
        BadFile: H is not finite, or not positive definite with damping 1; never an identity in
            its place.
    """
    if not bool(torch.isfinite(hessian).all()):
        raise BadFile(
            "the second moments of the input are not finite",
            where=f"tensor {name}",
            fix="the calibration text overflows the model: use another text or float32 weights",
        )
    diagonal = hessian.diagonal().double()[columns]
    dead = diagonal == 0
    mean = float(diagonal.mean())
    if bool((diagonal < 0).any()) or mean == 0:
        raise _hopeless(name, "has a negative diagonal" if mean else "is zero")
    diagonal[dead] = 1.0
    back = columns.flip(0)
    while True:
        added = damp * mean
        turned = hessian[back][:, back].double()  # J H J
        turned.diagonal().copy_(diagonal.flip(0) + added)
        lower, info = torch.linalg.cholesky_ex(turned)
        del turned
        if not int(info):
            break
        if damp >= 1:
            raise _hopeless(name, "is not positive definite, even damped by its mean diagonal")
        damp = min(1.0, max(10 * damp, 0.01))
    return Factor(_turned_inverse(lower, dtype), dead, damp, added)


def _turned_inverse(lower: Tensor, dtype: torch.dtype) -> Tensor:
    """Return J L⁻ᵀ J = Uᵀ of a lower triangular L; zeros above are not worked on."""
    n = len(lower)
    out = torch.zeros(n, n, dtype=dtype)
    for start in range(0, n, _AT_ONCE):
        k = min(_AT_ONCE, n - start)
        one = torch.eye(n - start, k, dtype=lower.dtype)
        panel = torch.linalg.solve_triangular(lower[start:, start:], one, upper=False)
        out[n - start - k : n - start, : n - start] = panel.T.flip(0, 1)
    return out


def _hopeless(name: str, what: str) -> BadFile:
    return BadFile(
        f"the matrix of second moments {what}",
        where=f"tensor {name}",
        fix="calibrate on more, and more varied, text",
    )
