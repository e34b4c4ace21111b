"""Reading an HF model folder: `config.json` and safetensors, whole or in shards, nothing else."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile
from seemant.models.families.registry import completed
from seemant.models.folder_tensors import FolderTensor, Grid, tensors_of_file

if TYPE_CHECKING:
    import torch

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"

# A multimodal model's type, and its text model's where the configuration does not say it.
_WITH_TEXT_INSIDE = {"gemma3": "gemma3_text"}
# Where a multimodal folder keeps its text model: older and newer layouts.
_TEXT = {
    "language_model.model.": "model.",
    "language_model.lm_head.": "lm_head.",
    "model.language_model.": "model.",
}
_NOT_TEXT = ("vision_tower.", "multi_modal_projector.")
_BARE = ("layers.", "embed_tokens.", "norm.")  # saved without the head's class around it
_SCALES = ("weight_scale_inv", "activation_scale", "input_scale")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's text model: its configuration, and its tensors by transformers' name.

    A tied head is there once. The configuration's `tie_word_embeddings` is what the tensors say.
    """

    config: dict[str, Any]
    tensors: Mapping[str, FolderTensor]


def open_folder(folder: Path) -> Folder:
    """Return the model of a folder; of the tensors, only headers and a doubtful head are read.

    Raises:
        BadFile: no configuration or weights, damaged ones, or a form that is not read here.
    """
    said = _checked_config(folder)
    found: dict[str, FolderTensor] = {}
    for path in weight_files(folder):
        found |= tensors_of_file(path)
    block = (said.get("quantization_config") or {}).get("weight_block_size")
    tensors = _unscaled(found, (int(block[0]), int(block[1])) if block else None)
    nested = said.get("model_type") in _WITH_TEXT_INSIDE
    placed = {_place(name, nested): each for name, each in tensors.items()}
    placed.pop(None, None)
    return _tied(_text_config(said), {str(name): each for name, each in placed.items()})


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`; of a multimodal model, the text model's part.

    Raises:
        BadFile: it is missing or no JSON object, or asks for code of its own.
    """
    return _text_config(_checked_config(folder))


@contextmanager
def told_of(folder: Path) -> Iterator[None]:
    """Say in refusals of settings which folder's `config.json` they are about.

    Raises:
        BadFile: as the block does, with the folder in `where`.
    """
    try:
        yield
    except BadFile as error:
        where = error.where or ""
        if where.startswith("config.json"):
            raise BadFile(error.what, where=f"{folder}/{where}", fix=error.fix) from error
        raise


def _checked_config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file() and (folder / "adapter_config.json").is_file():
        raise BadFile(
            "the folder holds a LoRA adapter, not a model",
            where=str(folder),
            fix="name its base model here, and this folder with --adapter",
        )
    config = _json(folder / "config.json")
    if "auto_map" in config and config.get("model_type") not in _KNOWN_TO_ALL:
        raise BadFile(
            "the model asks to run code of its own, which is never done here",
            where=str(folder / "config.json"),
            fix="use a model of a family that transformers itself knows",
        )
    packed = config.get("quantization_config") or config.get("compression_config")
    if packed:
        method = str(packed.get("quant_method", "an unnamed method"))
        if method != "fp8":
            raise BadFile(
                f"the folder's weights are packed by a quantisation method ({method}) "
                "that is not read here",
                where=str(folder / "config.json"),
                fix="use the model's plain (16 or 32 bit) folder, or a GGUF file",
            )
    return config


# Families that transformers reads without the code that their older folders also name.
_KNOWN_TO_ALL = ("phi3",)


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    kind = str(config.get("model_type"))
    inner = config.get("text_config")
    config = {key: value for key, value in config.items() if key != "quantization_config"}
    if kind not in _WITH_TEXT_INSIDE or not isinstance(inner, dict):
        return config
    ends = ("bos_token_id", "eos_token_id", "pad_token_id", "dtype", "torch_dtype")
    outer = {key: config[key] for key in ends if config.get(key) is not None}
    return {"model_type": _WITH_TEXT_INSIDE[kind], **outer, **inner}


def weight_files(folder: Path) -> list[Path]:
    """Return a folder's safetensors files: `model.safetensors`, else what the index names.

    That order is transformers': an index that an older save in shards left behind does not count.

    Raises:
        BadFile: there are none (pickled weights are never opened), or a shard is missing.
    """
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if (folder / INDEX).is_file():
        return _shards(folder)
    pickled = sorted(path.name for path in folder.glob("*.bin")) + sorted(
        path.name for path in folder.glob("*.pt*")
    )
    if pickled:
        raise BadFile(
            f"the weights are pickled ({pickled[0]}), and opening a pickle runs code",
            where=str(folder),
            fix="fetch a revision of the model that has safetensors, or save it again with "
            "transformers' save_pretrained",
        )
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise BadFile(
        f"the folder holds no {WHOLE}",
        where=str(folder),
        fix=f"name the folder of a whole model (this one holds: {present})",
    )


def _shards(folder: Path) -> list[Path]:
    named = _json(folder / INDEX).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(each, str) for each in named.values()):
        raise BadFile(
            "the index has no weight_map of file names",
            where=str(folder / INDEX),
            fix="fetch the model again",
        )
    names = sorted({Path(each).name for each in named.values()})
    absent = [name for name in names if not (folder / name).is_file()]
    if absent or not names:
        raise BadFile(
            f"{len(absent)} of {len(names)} weight files are missing: {', '.join(absent[:3])}",
            where=str(folder),
            fix="fetch the model again: what is whole is not downloaded twice",
        )
    return [folder / name for name in names]


def read_state(folder: Path) -> dict[str, "torch.Tensor"]:
    """Return a folder's tensors by transformers name, a tied head once, mapped from disk.

    Tensors of 8-bit floats are float32, in memory.

    Raises:
        BadFile: no safetensors weights, or a damaged file.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    opened = open_folder(folder).tensors
    files: dict[Path, dict[str, torch.Tensor]] = {}
    state = {}
    for name, each in opened.items():
        if each.grid is not None:
            state[name] = torch.from_numpy(each.whole())
            continue
        if each.path not in files:
            try:
                files[each.path] = load_file(each.path)
            except (SafetensorError, OSError) as error:
                raise BadFile(
                    f"the weights cannot be read: {error}",
                    where=str(each.path),
                    fix="remove the file and fetch the model again",
                ) from error
        state[name] = files[each.path][each.name]
    return state


def in_text_model(name: str) -> str:
    """Return the name that a multimodal model's tensor or module has in its text model."""
    for before, instead in _TEXT.items():
        if name.startswith(before):
            return instead + name.removeprefix(before)
    return name


def _place(name: str, nested: bool) -> str | None:
    """Return a tensor's name in the text model; None: it has no part in it."""
    if name.rpartition(".")[0].endswith("rotary_emb"):
        return None  # tables of old exports (inv_freq, cos_cached): computed
    if nested:
        if (inside := in_text_model(name)) != name:
            return inside
        if name.removeprefix("model.").startswith(_NOT_TEXT):
            return None
    return f"model.{name}" if name.startswith(_BARE) else name


def _unscaled(
    found: Mapping[str, FolderTensor], block: tuple[int, int] | None
) -> dict[str, FolderTensor]:
    """Return the tensors with their scales in them: 8-bit floats without any are refused."""
    tensors = {}
    for name, each in found.items():
        if name.endswith(_SCALES):
            continue
        if each.type.startswith("F8"):
            scale = found.get(f"{name}_scale_inv")
            if scale is None or len(each.shape) != 2:
                raise BadFile(
                    f"{name} is stored as {each.type} without {name}_scale_inv",
                    where=str(each.path),
                    fix="use the model's plain (16 or 32 bit) folder, or a GGUF file",
                )
            values = scale.whole()
            values = values.reshape(-1, 1) if values.ndim < 2 else values
            grid = Grid(values, block if values.size > 1 else None)
            _check_grid(each, grid)
            each = replace(each, grid=grid)
        tensors[name] = each
    return tensors


def _check_grid(tensor: FolderTensor, grid: Grid) -> None:
    rows, columns = grid.values.shape
    if grid.block is None:
        fits = not (tensor.shape[0] % rows or tensor.shape[1] % columns)
    else:
        high, wide = grid.block
        fits = (-(-tensor.shape[0] // high), -(-tensor.shape[1] // wide)) == (rows, columns)
    if not fits:
        raise BadFile(
            f"{tensor.name} of shape {tensor.shape} has scales of shape {(rows, columns)}",
            where=str(tensor.path),
            fix="fetch the model again, or use its plain folder",
        )


def _tied(config: dict[str, Any], tensors: dict[str, FolderTensor]) -> Folder:
    """As transformers: what the configuration ties is tied unless both are there and differ."""
    tied = bool(completed(config)["tie_word_embeddings"])
    head, table = tensors.get(HEAD), tensors.get(EMBEDDING)
    if tied and head is not None:
        if table is None:
            tensors[EMBEDDING] = head
        if table is None or head.same_as(table):
            del tensors[HEAD]
        else:
            tied = False
    return Folder({**config, "tie_word_embeddings": tied}, tensors)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BadFile(
            f"the folder holds no {path.name}",
            where=str(path.parent),
            fix="name the folder of a whole model",
        )
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadFile(f"not JSON: {error}", where=str(path), fix="fetch the model again") from error
    if not isinstance(value, dict):
        raise BadFile("not a JSON object", where=str(path), fix="fetch the model again")
    return value
