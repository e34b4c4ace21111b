"""An HF model folder as a GGUF file: settings, tokenizer and tensors for llama.cpp.

The inverse of `expand.py`. Nothing is rounded: matrices stay in the type in which the folder holds
them (8-bit floats with scales become float32), and expanding the file gives the same weights bit
for bit (Llama's q and k rows change places on the way, `names.py`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import check_fit
from seemant.models.families.registry import completed
from seemant.models.folder_tensors import FolderTensor
from seemant.models.gguf_settings import metadata_of_config, rope_tensors
from seemant.models.hf_config import family_of_config
from seemant.models.hf_folder import Folder, open_folder, told_of
from seemant.models.names import Array, Family, permuted_heads, to_gguf, values_to_gguf
from seemant.models.prompts import template_of
from seemant.models.tokenizer_metadata import metadata_of_tokenizer

_AS_STORED = ("F16", "BF16")
_FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}  # llama_ftype

Stored = NDArray[Any]


def hf_to_gguf(
    folder: Path,
    path: Path,
    *,
    name: str,
    languages: Sequence[str] = (),
    licence: str | None = None,
) -> None:
    """Write a folder's model as one GGUF file, whole or not at all.

    name: what the file calls the model. languages: codes that the model carries; none: not said.

    Raises:
        BadFile: a family or tokenizer that is not written here, or a damaged folder; it is named.
        DiskFull, NoPermission: the system refused; nothing is left behind.
    """
    with told_of(folder):
        opened = open_folder(folder)
        config, family = opened.config, family_of_config(opened.config)
        metadata = metadata_of_config(config, where=str(folder / "config.json"))
        shape = shape_of_config(config)
    check_fit(shape, {key: each.shape for key, each in opened.tensors.items()}, str(folder))
    tensors = _tensors(opened, family) | rope_tensors(config)
    more: dict[str, Any] = {"general.name": name, "general.file_type": _file_type(tensors)}
    if licence:
        more["general.license"] = licence
    if languages:
        more["general.languages"] = MetaValue("[string]", list(languages))
    if source := template_of(folder).source:
        more["tokenizer.chat_template"] = source
    tokens = metadata_of_tokenizer(folder, int(completed(config)["vocab_size"]), name=name)
    write_gguf(path, metadata | more | tokens, tensors)


def _file_type(tensors: Mapping[str, TensorData]) -> int:
    return max(_FILE_TYPES[each.type_name] for each in tensors.values())


def _tensors(folder: Folder, family: Family) -> dict[str, TensorData]:
    found: dict[str, TensorData] = {}
    for key, tensor in folder.tensors.items():
        name = to_gguf(key, family.name)
        kind = tensor.type if tensor.type in _AS_STORED and len(tensor.shape) > 1 else "F32"
        found[name] = TensorData(kind, tensor.shape, _values(tensor, name, kind, family))
    return found


def _values(
    tensor: FolderTensor, name: str, kind: str, family: Family
) -> Callable[[], Iterable[Stored]]:
    heads = permuted_heads(name, family)
    per_head = tensor.shape[0] // heads if heads else 1

    def values() -> Iterable[Stored]:
        for rows in tensor.blocks(per_head):  # whole heads are put in order by themselves
            _refuse_unsound(rows, tensor)
            n = len(rows) // per_head
            few = replace(family, n_heads=n, n_kv_heads=n) if heads else family
            yield _as_kind(np.ascontiguousarray(values_to_gguf(name, rows, few)), kind)

    return values


def _refuse_unsound(rows: Array, tensor: FolderTensor) -> None:
    if not np.isfinite(rows).all():
        raise BadFile(
            f"{tensor.name} holds weights that are NaN or infinite",
            where=str(tensor.path),
            fix="fetch the model again; if it was trained here, go back to an earlier checkpoint",
        )


def _as_kind(rows: Array, kind: str) -> Stored:
    if kind == "BF16":  # float32 rows that came from bfloat16: the lower half is empty
        return (rows.view(np.uint32) >> 16).astype("<u2")
    return rows.astype("<f2" if kind == "F16" else "<f4")
