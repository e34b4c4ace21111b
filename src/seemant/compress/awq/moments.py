"""What AWQ is told of the inputs of a block's sites."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SiteMoments:
    """What is known of a site's input x (C,): the means of x xᵀ, (C, C), and of |x|, (C,)."""

    hessian: Tensor
    magnitude: Tensor

    @classmethod
    def of_hessian(cls, hessian: Tensor) -> "SiteMoments":
        """Return moments whose magnitude is the root of the mean of x², where |x| was not kept."""
        return cls(hessian, hessian.diagonal().clamp(min=0).sqrt())
