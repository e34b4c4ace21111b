"""Whether two GGUF files hold the same weights, whatever their metadata says of name or licence."""

import hashlib
from pathlib import Path

from seemant.core.errors import SeemantError

_SAMPLED_BYTES = 1 << 16  # of each tensor's beginning and end


def weights_sha256(path: Path) -> str | None:
    """Return a hash of a GGUF file's tensors: names, shapes, formats, samples of their bytes.

    Two conversions of one folder have the same, and so has a copy under another name. None where
    the path is no GGUF file that can be read.
    """
    from seemant.formats.gguf_read import open_gguf

    if not path.is_file():
        return None
    try:
        tensors = open_gguf(path).tensors
    except SeemantError:
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\0{tensor.shape}\0{tensor.type_name}\0".encode())
        raw = tensor.raw().reshape(-1)
        digest.update(raw[:_SAMPLED_BYTES].tobytes())
        digest.update(raw[-_SAMPLED_BYTES:].tobytes())
    return digest.hexdigest()
