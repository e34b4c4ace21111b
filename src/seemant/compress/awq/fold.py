"""Folding s into the neighbours: W x = (W · s)(x / s), so the model's function does not change.

    norm -> readers    gain ← gain / s            W ← W · s by column
    up -> down         rows of up / s             down's input is act(gate) ⊙ up: linear in up
    v -> o             rows of v (and bias) / s   o's input is P v: linear in v

Exact in real arithmetic; in float32 it moves logits by about 1e-6 of their size. GGUF stores
Gemma's gains as 1 + w already, so there too the fold is a plain division; transformers stores w,
where it is (1 + w) / s - 1 (`folded_gain` with shift 1). Biases of the readers stay.
"""

from collections.abc import Mapping

from torch import Tensor

from seemant.compress.awq.sites import Site
from seemant.models.decoder.shape import DecoderShape


def folded(
    weights: Mapping[str, Tensor], layer: int, site: Site, scale: Tensor, shape: DecoderShape
) -> dict[str, Tensor]:
    """Return a block's tensors with one site scaled; those that did not change are shared.

    weights: float32 by full GGUF name ("blk.3.attn_q.weight"). scale: (channels,) float32,
    positive, one a channel of the source; see `columns_of`.
    """
    out = dict(weights)
    source = f"blk.{layer}.{site.source}"
    for name in (f"{source}.weight", f"{source}.bias"):
        if name in out:
            one_column = out[name].ndim == 1
            out[name] = out[name] / (scale if one_column else scale[:, None])
    columns = columns_of(scale, site, shape)
    for reader in site.readers:
        name = f"blk.{layer}.{reader}.weight"
        out[name] = out[name] * columns
    return out


def columns_of(scale: Tensor, site: Site, shape: DecoderShape) -> Tensor:
    """Return s for every column of the readers: shared by the query heads of one key head."""
    if not site.by_head:
        return scale
    sharing = shape.heads // shape.kv_heads
    by_head = scale.view(shape.kv_heads, 1, shape.head_dim)
    return by_head.expand(-1, sharing, -1).reshape(-1)


def channels_of(magnitude: Tensor, site: Site, shape: DecoderShape) -> Tensor:
    """Return the size of each channel of the source, of the readers' columns (C,) -> (channels,).

    The mean over the query heads that share a key head.
    """
    if not site.by_head:
        return magnitude
    return magnitude.view(shape.kv_heads, -1, shape.head_dim).mean(1).reshape(-1)


def folded_gain(gain: Tensor, scale: Tensor, *, shift: float = 0.0) -> Tensor:
    """Return a norm's gain divided by s, in its own layout.

    shift: what the stored gain lacks: 0 in GGUF, of every family; 1 for Gemma in transformers.
    """
    return (gain + shift) / scale - shift if shift else gain / scale


def folded_hessian(hessian: Tensor, columns: Tensor) -> Tensor:
    """Return the mean of x' x'ᵀ with x' = x / s, fresh: hessian (C, C), columns (C,)."""
    return fold_hessian(hessian.clone(), columns)


def fold_hessian(hessian: Tensor, columns: Tensor) -> Tensor:
    """Do what `folded_hessian` does in its own memory: of 4,864 columns it is 95 MB."""
    return hessian.div_(columns).div_(columns[:, None])
