"""Swapping a decoder's float tensors by their GGUF names, and putting them back.

A swap puts another tensor in the old one's place and writes nothing into the old one: whoever holds
it (a `Reference` its head) keeps it, and putting back costs nothing.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seemant.core.errors import BadFile
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.norm import RmsNorm
from seemant.models.frozen.float_matrix import FloatMatrix
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.names import Family, is_shifted_norm, to_hf, values_to_gguf, values_to_hf

Values = Tensor | NDArray[np.float32]


@contextmanager
def replaced(decoder: Decoder, values: Mapping[str, Values]) -> Iterator[Decoder]:
    """Give the decoder with these tensors swapped; they are put back at the end, errors or not."""
    old: list[tuple[nn.Module, str, Tensor]] = []
    try:
        for name, value in values.items():
            place = place_of(decoder, name)
            old.append((*place, _held(*place)))
            set_matrix(decoder, name, value)
        yield decoder
    finally:
        for module, kind, tensor in reversed(old):
            _put(module, kind, tensor)


def set_matrix(decoder: Decoder, name: str, values: Values) -> None:
    """Put values in a tensor's place.

    name: the GGUF name ("blk.3.attn_q.weight", "token_embd.weight", a norm, a bias). values:
    float32 as a GGUF file orders them: Llama's q and k rows interleaved, Gemma's norms + 1.
    Only decoders in float32 can be swapped: rounding to bfloat16 would not be what is measured.

    Raises:
        BadFile: the model has no such tensor.
        ValueError: values of another shape, or a tensor that is not held in float32.
    """
    module, kind = place_of(decoder, name)
    old = _held(module, kind)
    shape = decoder.shape
    family = Family(shape.family, shape.heads, shape.kv_heads)
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    new = values_to_hf(name, array, family)
    if is_shifted_norm(name, family) and isinstance(module, RmsNorm) and not module.shift:
        new = new + np.float32(1)  # a frozen norm holds 1 + w
    if tuple(new.shape) != tuple(old.shape):
        raise ValueError(f"{name}: values of {tuple(new.shape)} for {tuple(old.shape)}")
    if old.dtype != torch.float32:
        raise ValueError(f"{name} is held as {old.dtype}, not float32")
    _put(module, kind, torch.from_numpy(np.ascontiguousarray(new, dtype=np.float32)))


def matrix(decoder: Decoder, name: str) -> NDArray[np.float32]:
    """Return a tensor's values now, in GGUF's layout; the inverse of `set_matrix`."""
    module, kind = place_of(decoder, name)
    shape = decoder.shape
    family = Family(shape.family, shape.heads, shape.kv_heads)
    held = _held(module, kind).detach().numpy()
    if is_shifted_norm(name, family) and isinstance(module, RmsNorm) and not module.shift:
        held = held - np.float32(1)
    return values_to_gguf(name, held, family)


def first_changed(names: Collection[str], layers: int) -> int:
    """Return the first layer whose output these tensors change; `layers`: only norm or head."""
    first = layers
    for name in names:
        if name == "token_embd.weight":
            return 0
        if name.startswith("blk."):
            first = min(first, int(name.split(".")[1]))
    return first


def place_of(decoder: Decoder, name: str) -> tuple[nn.Module, str]:
    """Return the module that holds a tensor, and "weight" or "bias".

    Raises:
        BadFile: the model has no such tensor.
    """
    path, _, kind = to_hf(name, decoder.shape.family).rpartition(".")
    try:
        found = decoder.get_submodule(path)
    except AttributeError as error:
        raise BadFile(f"this model has no tensor {name!r}", where=path) from error
    if isinstance(found, FrozenLinear) and kind == "weight":
        found = found.matrix
    if getattr(found, kind, None) is None and not isinstance(found, FloatMatrix):
        raise BadFile(f"{name!r} is not held as floats, or not at all", where=path)
    return found, kind


def _held(module: nn.Module, kind: str) -> Tensor:
    held = getattr(module, kind)
    assert isinstance(held, Tensor)
    return held.detach()


def _put(module: nn.Module, kind: str, tensor: Tensor) -> None:
    held = getattr(module, kind)
    if isinstance(held, nn.Parameter):
        held.data = tensor  # the parameter stays: optimisers and tied names hold it
    else:
        setattr(module, kind, tensor)
