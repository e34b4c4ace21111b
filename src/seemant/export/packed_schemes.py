"""Which matrices of a GGUF file compressed-tensors can hold packed, and how config.json says it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seemant.core.errors import BadConfig
from seemant.formats.gguf_read import GgufFile
from seemant.formats.packing import BLOCK, CONTAINERS

PACKED = ("Q4_0", "Q8_0")  # symmetric, 4 and 8 bits: what runtimes have kernels for
_GROUPS = (32, 64, 128)
_WHOLE_ROW = 1 << 30  # larger than any group


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a matrix is packed: bits a code, and the weights that share a scale (None: a row)."""

    bits: int
    group: int | None


def schemes_of(file: GgufFile) -> dict[str, Scheme]:
    """Return how each of the blocks' integer matrices is packed, by its GGUF name.

    A GGUF file repeats a scale that spans more than 32 weights. Each scale is stored once here
    under the widest group (32, 64, 128, a whole row) that all matrices of equal bits allow; that
    is the group they were rounded with.

    Raises:
        BadConfig: a block's matrix lies on a grid that the format cannot hold; names it.
    """
    packed: dict[str, list[str]] = {kind: [] for kind in PACKED}
    for name, tensor in file.tensors.items():
        if not is_block_matrix(file, name) or tensor.type_name in ("F16", "F32", "BF16"):
            continue
        if tensor.type_name not in PACKED:
            raise BadConfig(
                "compressed-tensors' packed format holds symmetric integers of 4 or 8 bits, "
                f"this matrix is stored as {tensor.type_name}",
                where=f"tensor {name}",
                fix="compress with q4_0, q8_0, int4-sym-g128 or int4-sym-channel; "
                "or export the folder in fp32",
            )
        packed[tensor.type_name].append(name)
    out: dict[str, Scheme] = {}
    for kind, names in packed.items():
        if names:
            widest = max(set.intersection(*(_groups_of(file, name) for name in names)))
            group = None if widest == _WHOLE_ROW else widest
            out |= {name: Scheme(CONTAINERS[kind].bits, group) for name in names}
    return out


def quantization_config(schemes: Mapping[str, Scheme], linear: Collection[str]) -> dict[str, Any]:
    """Return config.json's "quantization_config".

    schemes: of the packed modules, by their transformers names. linear: all linear modules of the
    model. Where all have one scheme their class is the target and exceptions are listed, the form
    that every reader takes; else each module stands under its own scheme.
    """
    groups: dict[Scheme, list[str]] = {}
    for name, scheme in schemes.items():
        groups.setdefault(scheme, []).append(name)
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "global_compression_ratio": None,
        "kv_cache_scheme": None,
        "ignore": sorted((set(linear) - set(schemes)) | {"lm_head"}),
        "config_groups": {
            f"group_{at}": {
                "targets": ["Linear"] if len(groups) == 1 else names,
                "weights": _arguments(scheme),
                "input_activations": None,
                "output_activations": None,
            }
            for at, (scheme, names) in enumerate(groups.items())
        },
    }


def is_block_matrix(file: GgufFile, name: str) -> bool:
    """Return whether a tensor is the weight of one of the blocks' linear layers."""
    return name.startswith("blk.") and len(file.tensors[name].shape) == 2


def _arguments(scheme: Scheme) -> dict[str, Any]:
    return {
        "num_bits": scheme.bits,
        "type": "int",
        "symmetric": True,
        "strategy": "channel" if scheme.group is None else "group",
        "group_size": scheme.group,
        "dynamic": False,
        "actorder": None,
    }


def _groups_of(file: GgufFile, name: str) -> set[int]:
    """Return the group sizes under which a matrix's repeated scales can be stored once."""
    raw, kind = file.tensors[name].raw(), file.tensors[name].type_name
    blocks = raw.reshape(len(raw), -1, CONTAINERS[kind].n_bytes)
    scale = np.ascontiguousarray(blocks[..., :2]).view("<u2")[..., 0]
    n_blocks = scale.shape[1]
    found = set()
    for width in _GROUPS:
        per = width // BLOCK
        if n_blocks % per == 0:
            groups = scale.reshape(len(scale), -1, per)
            if (groups == groups[..., :1]).all():
                found.add(width)
    return found | ({_WHOLE_ROW} if (scale == scale[:, :1]).all() else set())
