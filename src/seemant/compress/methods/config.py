"""The settings of the methods; each method reads what concerns it."""

from dataclasses import dataclass
from typing import Literal, get_args

from seemant.core.errors import BadConfig, nearest

Order = Literal["natural", "act", "groups"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodConfig:
    """How a method works.

    order: of the columns in GPTQ's loop (`gptq_orders`); none: the method's own.
    damp: what is added to the diagonal of the Hessian, a share of its mean, 0 to 1.
    block: columns whose feedback onto the rest is one product; it changes the speed only.
    sparsity: which weights a pruning method removes: "unstructured:0.5" (a share of each matrix
    or row), or "2:4" (two of every four neighbours are kept).
    """

    order: Order | None = None
    damp: float = 0.01
    block: int = 128
    sparsity: str = "unstructured:0.5"

    def __post_init__(self) -> None:
        if self.order is not None and self.order not in ORDERS:
            raise BadConfig(
                f"no order {self.order!r}", where="order", fix=nearest(self.order, ORDERS)
            )
        if not 0 <= self.damp <= 1:
            raise BadConfig(f"damp is {self.damp}", where="damp", fix="use a share from 0 to 1")
        if self.block < 1:
            raise BadConfig(f"block is {self.block}", where="block", fix="use 1 or more columns")
