"""Writing tensors as one safetensors file, a tensor at a time: no second copy of all of them."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from seemant.core.sync import sync_file

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write the file and make it last (fsync); tensors may lie on a GPU and may share memory.

    Raises:
        OSError: the system refuses; what is there then is not whole.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.nbytes
        kind = _NAMES[tensor.dtype]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)
        file.flush()
        sync_file(file.fileno())
