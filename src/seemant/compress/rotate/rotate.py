"""A model whose residual stream is turned by R, with the same function.

    h' = h R everywhere in the stream, as ‖h R‖ = ‖h‖:   norm(h R) = norm(h) R   without a gain

    embedding      E' = E R                   reads no norm
    readers        W' = W diag(g) R           q, k, v, gate, up, and the head with the last norm
    writers        W' = Rᵀ W,  b' = b R       o, down
    norms          g' = 1                     their gains have moved into their readers

SpinQuant's R₁ (Liu et al., 2405.16406), QuaRot (2404.00456). The head becomes E diag(g) R, the
embedding E R: a tied model comes out untied, and larger by its head. Gemma's norms after o and
down multiply what goes into the stream, where a gain cannot be moved through: refused.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from seemant.compress.rotate.orthogonal import rotation
from seemant.core.errors import BadConfig, nearest
from seemant.models.frozen.gemm import product

FAMILIES = ("llama", "qwen2", "qwen3")
EMBEDDING, HEAD, LAST_NORM = "token_embd", "output", "output_norm"
GAINS = {  # whose gain each reader of the stream takes in
    "attn_q": "attn_norm",
    "attn_k": "attn_norm",
    "attn_v": "attn_norm",
    "ffn_gate": "ffn_norm",
    "ffn_up": "ffn_norm",
}
WRITERS = ("attn_output", "ffn_down")


def rotate_model(tensors: Mapping[str, Tensor], family: str, *, seed: int) -> dict[str, Tensor]:
    """Return the rotated tensors by GGUF name, with an `output.weight` of their own.

    tensors: all of a model, float32, GGUF's names and layout.

    Raises:
        BadConfig: a family that cannot be rotated, with the reason.
    """
    check_family(family)
    r = rotation(tensors[f"{EMBEDDING}.weight"].shape[1], seed)
    head = tensors.get(f"{HEAD}.weight", tensors[f"{EMBEDDING}.weight"])
    every = {**tensors, f"{HEAD}.weight": head}
    return {
        name: rotate_tensor(name, each, r, None if (g := gain_of(name)) is None else tensors[g])
        for name, each in every.items()
    }


def rotate_tensor(name: str, values: Tensor, r: Tensor, gain: Tensor | None) -> Tensor:
    """Return one tensor of the rotated model; `gain` is the tensor that `gain_of` names.

    values: (rows, columns) or (columns,), float32; of the embedding and of readers any rows of
    the tensor will do, of writers all of them. r: (d, d), of `rotation`.
    """
    part, kind = name.rsplit(".", 2)[-2:]
    if part == EMBEDDING:
        return product(values, r.T)
    if gain is not None:
        return product(values * gain, r.T)
    if part in WRITERS:
        return r.T @ values if kind == "bias" else product(r.T, values.T)
    if part in (*GAINS.values(), LAST_NORM):
        return torch.ones_like(values)
    return values  # biases of readers, q and k norms, rotation factors


def gain_of(name: str) -> str | None:
    """Return the name of the norm whose gain a matrix takes in; None: it takes none."""
    if name == f"{HEAD}.weight":
        return f"{LAST_NORM}.weight"
    before, _, part = name.removesuffix(".weight").rpartition(".")
    if not name.endswith(".weight") or part not in GAINS:
        return None
    return f"{before}.{GAINS[part]}.weight"


def check_family(family: str) -> None:
    """Refuse a family that cannot be rotated.

    Raises:
        BadConfig: the family, and the reason.
    """
    if family in FAMILIES:
        return
    if family.startswith("gemma"):
        raise BadConfig(
            "a Gemma model cannot be rotated: its norms after attention and the gated layer "
            "multiply what goes into the residual stream, and a gain there is not folded through "
            "a rotation",
            where="rotate",
            fix="leave rotation off; AWQ and GPTQ work on Gemma",
        )
    raise BadConfig(
        f"models of the architecture {family!r} are not rotated here", fix=nearest(family, FAMILIES)
    )
