"""A variant as a Hugging Face folder in compressed-tensors' "pack-quantized" format.

transformers (with the package `compressed-tensors`) and vLLM load such folders. Of every packed
matrix `NAME.weight` it holds, as that package's sources document:

    NAME.weight_packed  int32 (rows, columns * bits / 32): see `int32_words`
    NAME.weight_scale   float16 (rows, groups), (rows, 1) per channel; value = scale * code
    NAME.weight_shape   int64 (2,): rows, columns

Integers and scales are those of the variant's file, rows in transformers' order. All other tensors
are dense, and so are matrices that the file keeps in floating point: a pruned model has its zeros
there. config.json does not declare 2:4, as no reader of this format takes it any more.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seemant.compress.reference.which import refuse_dithered
from seemant.compress.verify import VariantMismatch
from seemant.core.atomic import write_atomic
from seemant.core.errors import BadConfig, BadFile
from seemant.core.os_errors import from_os_error
from seemant.export.int32_words import pack_words, unpack_words
from seemant.export.packed_schemes import (
    Scheme,
    is_block_matrix,
    quantization_config,
    schemes_of,
)
from seemant.export.tensor_stream import StreamedTensor, write_stream
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.packing import BLOCK, unpack
from seemant.models.chat_words import words_of_metadata
from seemant.models.hf_config import config_of_file, family_of_metadata
from seemant.models.names import ROPE_FACTORS, Family, to_hf, values_to_hf

Dense = Literal["F32", "F16"]
WEIGHTS_NAME = "model.safetensors"
_ROWS_AT_ONCE = 8192


def write_compressed_tensors(model: Path, out: Path, *, dense: Dense = "F32") -> dict[str, Scheme]:
    """Write a variant's model.gguf as such a folder, whole or not at all; return what was packed.

    dense: how the embedding and the head are stored. "F32" changes no value; "F16" halves them and
        rounds an embedding of 8 bits, whose scale times code has up to 18 bits.
    Returned: the packed modules by their transformers names.

    Raises:
        BadConfig: a block's matrix lies on a grid that the format cannot hold; names it. Or the
            model was made from a dithered reference.
        BadFile: the file is damaged or of an architecture that is not read here.
        DiskFull, NoPermission: the system refused; nothing half-written is left.
    """
    from seemant.models.prompts import template_of_metadata
    from seemant.models.tokenizer import tokenizer_of_metadata

    file = open_gguf(model)
    family = family_of_metadata(file.metadata)
    schemes = packable(file)
    packed = {_module(name, family): scheme for name, scheme in schemes.items()}
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        specials = words_of_metadata(file.metadata).specials
        tokenizer_of_metadata(file.metadata, str(model)).save(unfinished, specials)
        if source := template_of_metadata(file.metadata).source:
            write_atomic(unfinished / "chat_template.jinja", source)
        write_stream(unfinished / WEIGHTS_NAME, _tensors(file, family, schemes, dense))
        config = _config(file, family, packed, dense)
        write_atomic(unfinished / "config.json", json.dumps(config, indent=2) + "\n")
        verify_folder(model, unfinished)
        shutil.rmtree(out, ignore_errors=True)
        unfinished.replace(out)
    except OSError as error:
        raise from_os_error(error, out) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return packed


def packable(file: GgufFile) -> dict[str, Scheme]:
    """Return how each integer matrix would be packed, by its GGUF name; {} where there is none.

    Raises:
        BadConfig: the model cannot be written as such a folder.
        BadFile: an architecture that is not read here.
    """
    refuse_dithered(file)
    family_of_metadata(file.metadata)
    if ROPE_FACTORS in file.tensors:
        raise BadConfig(
            "a model with rotation factors of its own cannot be written as such a folder",
            where=f"{file.path}, tensor {ROPE_FACTORS}",
            fix="export it as GGUF",
        )
    return schemes_of(file)


def read_packed(folder: Path) -> Iterator[tuple[str, NDArray[np.int16], NDArray[np.float32]]]:
    """Yield of every packed module its name, codes (rows, columns) and scales (rows, groups).

    Raises:
        BadFile: no such folder, or one in another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if "quantization_config" not in config:
            return  # all its matrices are dense
        bits = _bits_by_module(config["quantization_config"])
        with safe_open(folder / WEIGHTS_NAME, framework="numpy") as file:
            stems = [k.removesuffix("_packed") for k in file.keys() if k.endswith("_packed")]  # noqa: SIM118
            for stem in sorted(stems):
                words, scale, shape = (
                    file.get_tensor(f"{stem}_{part}") for part in ("packed", "scale", "shape")
                )
                name = stem.removesuffix(".weight")
                codes = unpack_words(words, bits.get(name, bits.get("Linear", 0)), int(shape[1]))
                yield name, codes, scale.astype(np.float32)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise BadFile(
            f"not a folder in compressed-tensors' packed format: {error}", where=str(folder)
        ) from error


def verify_folder(model: Path, folder: Path) -> None:
    """Check that the folder's integers and scales are those of the GGUF file.

    Raises:
        VariantMismatch: names the first module that differs.
    """
    file = open_gguf(model)
    family = family_of_metadata(file.metadata)
    expected = {_module(name, family): name for name in schemes_of(file)}
    for module, codes, scale in read_packed(folder):
        stored = _stored(file, expected.pop(module), family)
        width = codes.shape[1] // scale.shape[1]
        spread = np.repeat(scale, width // BLOCK, axis=1)
        if (codes != stored[0]).any() or (spread != stored[1]).any():
            raise VariantMismatch(f"{module} was written with other integers than were chosen")
    if expected:
        raise VariantMismatch(f"{folder} lacks {min(expected)}")


def _config(
    file: GgufFile, family: Family, packed: dict[str, Scheme], dense: Dense
) -> dict[str, Any]:
    config = config_of_file(file)
    config["dtype"] = {"F32": "float32", "F16": "float16"}[dense]
    if packed:
        linear = [_module(name, family) for name in file.tensors if is_block_matrix(file, name)]
        config["quantization_config"] = quantization_config(packed, linear)
    return config


def _bits_by_module(config: dict[str, Any]) -> dict[str, int]:
    return {
        target: int(group["weights"]["num_bits"])
        for group in config["config_groups"].values()
        for target in group["targets"]
    }


def _tensors(
    file: GgufFile, family: Family, schemes: dict[str, Scheme], dense: Dense
) -> dict[str, StreamedTensor]:
    out: dict[str, StreamedTensor] = {}
    for name, tensor in file.tensors.items():
        module, shape = _module(name, family), tensor.shape
        if name not in schemes:
            kind = dense if len(shape) == 2 else "F32"
            out[to_hf(name, family.name)] = StreamedTensor(kind, shape, _Dense(file, name, family))
            continue
        bits, group = schemes[name].bits, schemes[name].group or shape[1]
        part = _Packed(file, name, family, bits, group)
        words = (shape[0], -(-shape[1] * bits // 32))
        groups = (shape[0], shape[1] // group)
        out[f"{module}.weight_packed"] = StreamedTensor("I32", words, part.words)
        out[f"{module}.weight_scale"] = StreamedTensor("F16", groups, part.scales)
        out[f"{module}.weight_shape"] = StreamedTensor("I64", (2,), part.shape)
    return out


class _Dense:
    """The values of a tensor in transformers' layout, in pieces."""

    def __init__(self, file: GgufFile, name: str, family: Family) -> None:
        self.file, self.name, self.family = file, name, family

    def __call__(self) -> Iterator[NDArray[np.float32]]:
        shape = self.file.tensors[self.name].shape
        if len(shape) == 1 or is_block_matrix(self.file, self.name):
            yield values_to_hf(self.name, self.file.dequantize(self.name), self.family)
            return
        for start in range(0, shape[0], _ROWS_AT_ONCE):
            yield self.file.rows(self.name, start, min(start + _ROWS_AT_ONCE, shape[0]))


class _Packed:
    """The parts of a packed matrix, each made when it is written."""

    def __init__(self, file: GgufFile, name: str, family: Family, bits: int, group: int) -> None:
        self.file, self.name, self.family = file, name, family
        self.bits, self.group = bits, group

    def words(self) -> list[NDArray[np.int32]]:
        return [pack_words(_stored(self.file, self.name, self.family)[0], self.bits)]

    def scales(self) -> list[NDArray[np.float16]]:
        scale = _stored(self.file, self.name, self.family)[1]
        return [scale[:, :: self.group // BLOCK].astype(np.float16)]

    def shape(self) -> list[NDArray[np.int64]]:
        return [np.array(self.file.tensors[self.name].shape, np.int64)]


def _stored(
    file: GgufFile, name: str, family: Family
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return a matrix's codes (rows, columns) and its scale a block of 32, in transformers' order.

    Only rows move (q and k of Llama): whole rows keep their codes and scales.
    """
    tensor = file.tensors[name]
    codes, params = unpack(tensor.raw(), tensor.type_name)
    numbers = np.arange(tensor.shape[0], dtype=np.float32)[:, None]  # exact up to 2^24 rows
    order = values_to_hf(name, numbers, family)[:, 0].astype(np.int64)
    return codes.reshape(tensor.shape)[order].astype(np.int16), params.scale[order, :, 0]


def _module(name: str, family: Family) -> str:
    return to_hf(name, family.name).removesuffix(".weight")
