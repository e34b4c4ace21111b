"""What the tests of the streamed losses share: inputs, plain losses through full logits."""

from collections.abc import Callable

import torch
from torch import Tensor


def inputs(
    m: int, vocab: int, d: int, size: float, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows h (m, d), targets (m,) and a head (vocab, d) whose logits have a spread of `size`."""
    generator = torch.Generator().manual_seed(m + vocab)
    h = torch.randn(m, d, generator=generator, dtype=dtype)
    weight = torch.randn(vocab, d, generator=generator, dtype=dtype) * size
    return h, torch.randint(vocab, (m,), generator=generator), weight


def upstream(n: int) -> Tensor:
    """A different gradient from above for each row."""
    return torch.linspace(0.5, 1.5, n)


def with_gradient(loss_of: Callable[[Tensor], Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each row and the gradient, by h, of a weighted sum of them."""
    x = h.detach().clone().requires_grad_()
    loss = loss_of(x)
    (loss * upstream(len(h)).to(loss.dtype)).sum().backward()
    assert x.grad is not None
    return loss.detach(), x.grad


def logits(
    h: Tensor,
    weight: Tensor,
    *,
    scale: float = 1.0,
    softcap: float | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """All logits at once, in float64."""
    u = scale * h.double() @ weight.double().T
    return (u if softcap is None else softcap * torch.tanh(u / softcap)) / temperature


def relative(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want.double()).norm() / want.double().norm())
