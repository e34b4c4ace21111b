"""A GGUF file with fewer tokens: tokenizer rewritten, embedding rows copied bit for bit.

Rows keep their order, and a row's bytes are its own in every ggml type, so nothing is rounded
again: what a kept token is worth does not change. What changes is that the softmax has fewer
rivals, and that a word with a token outside falls apart into smaller pieces.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import GgufFile, GgufTensor
from seemant.formats.gguf_write import TensorData, write_gguf

OUTER = ("token_embd.weight", "output.weight")
_LISTS = ("tokens", "scores", "token_type")
_ID = re.compile(r"tokenizer\.ggml\.\w*_token_ids?")
_ROWS = 4096  # copied at a time


def trimmed(file: GgufFile, ids: NDArray[np.int64], out: Path) -> int:
    """Write the model with only these rows of its vocabulary; return the bytes of the file.

    ids: ascending, of `kept_tokens`. Rows that pad an embedding beyond the tokens fall away.

    Raises:
        BadFile: the file has no tokenizer or no embedding that fits it.
        ValueError: ids that are not ascending ids of tokens.
        DiskFull, NoPermission: the system refused; nothing is left behind.
    """
    n_tokens = len(file.metadata.get("tokenizer.ggml.tokens", ()))
    embedding = file.tensors.get(OUTER[0])
    if not n_tokens or embedding is None or embedding.shape[0] < n_tokens:
        raise BadFile(
            f"{n_tokens} tokens and an embedding of {embedding.shape[0] if embedding else 0} rows",
            where=str(file.path),
            fix="name a GGUF file of a whole model",
        )
    if not len(ids) or ids[0] < 0 or ids[-1] >= n_tokens or (np.diff(ids) <= 0).any():
        raise ValueError("ids must ascend within the vocabulary")
    tensors = {
        name: _rows_of(tensor, ids) if name in OUTER else _whole(tensor)
        for name, tensor in file.tensors.items()
    }
    write_gguf(out, trimmed_metadata(file.fields, ids), tensors)
    return out.stat().st_size


def trimmed_metadata(fields: dict[str, MetaValue], ids: NDArray[np.int64]) -> dict[str, MetaValue]:
    """Return the metadata of the trimmed file: lists cut, ids renumbered, merges sorted out."""
    tokens = fields["tokenizer.ggml.tokens"].value
    new = new_ids(ids, len(tokens))
    kept = {tokens[i] for i in ids}
    found = {}
    for key, meta in fields.items():
        if key.removeprefix("tokenizer.ggml.") in _LISTS:
            meta = MetaValue(meta.type, [meta.value[i] for i in ids])
        elif key == "tokenizer.ggml.merges":
            meta = MetaValue(meta.type, [m for m in meta.value if _possible(m, kept)])
        elif _ID.fullmatch(key):
            meta = MetaValue(meta.type, _renumbered(key, meta.value, new))
        elif key.endswith(".vocab_size"):
            meta = MetaValue(meta.type, len(ids))
        found[key] = meta
    name = fields["general.name"].value if "general.name" in fields else "a model"
    return found | {
        "general.description": MetaValue(
            "string",
            f"Modified from {name} by seemant: {len(ids)} of {len(tokens)} tokens were kept.",
        ),
        "seemant.vocabulary_trimmed_from": MetaValue("uint32", len(tokens)),
    }


def new_ids(ids: NDArray[np.int64], n_tokens: int) -> NDArray[np.int64]:
    """Return old id -> new id (n_tokens,), with -1 where a token is gone."""
    found = np.full(n_tokens, -1, np.int64)
    found[ids] = np.arange(len(ids))
    return found


def _renumbered(key: str, value: Any, new: NDArray[np.int64]) -> Any:
    if isinstance(value, list):
        return [int(new[each]) for each in value if new[each] >= 0]
    if not 0 <= value < len(new) or new[value] < 0:
        raise BadFile(f"{key} names the token {value}, which is not kept", where=key)
    return int(new[value])


def _possible(merge: str, kept: set[str]) -> bool:
    left, _, right = merge.partition(" ")
    return left in kept and right in kept and left + right in kept


def _rows_of(tensor: GgufTensor, ids: NDArray[np.int64]) -> TensorData:
    def pieces() -> Iterator[NDArray[np.uint8]]:
        raw = tensor.raw()
        for start in range(0, len(ids), _ROWS):
            yield raw[ids[start : start + _ROWS]]

    return TensorData(tensor.type_name, (len(ids), *tensor.shape[1:]), pieces)


def _whole(tensor: GgufTensor) -> TensorData:
    return TensorData(tensor.type_name, tensor.shape, tensor.raw())
