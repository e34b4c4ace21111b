"""LoRA adapters: read from a PEFT folder, merged in float32, written as GGUF LoRA.

W' = W + s B A, with A (r, in), B (out, r), s = alpha / r, or alpha / sqrt(r) for rsLoRA
(Hu et al., arXiv 2106.09685; Kalajdzievski, arXiv 2312.03732).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seemant.core.errors import BadConfig, BadFile
from seemant.core.jsonl import read_json
from seemant.formats.gguf_read import GgufFile
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.adapter_settings import CONFIG_NAME, read_settings, scale_of
from seemant.models.hf_config import family_of_metadata
from seemant.models.hf_folder import in_text_model
from seemant.models.names import Array, permuted_heads, to_gguf, to_neighbours, values_to_gguf
from seemant.models.weights_identity import weights_sha256

if TYPE_CHECKING:
    import torch

WEIGHTS_NAME = "adapter_model.safetensors"
STUDENT_NAME, VARIANT_NAME = "student.json", "variant.json"
_ENDS = ("model.embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True, slots=True)
class LowRank:
    """One adapted matrix, in transformers' layout: a (r, in), b (out, r), float32."""

    a: Array
    b: Array
    scale: float

    def delta(self) -> Array:
        """Return s B A, float32 (out, in)."""
        product: Array = self.b @ self.a
        return product * np.float32(self.scale)


def read_adapter(path: Path, *, tied: bool = False) -> dict[str, LowRank]:
    """Return a PEFT adapter's matrices by the transformers name of the weight they change.

    path: the PEFT folder, a train artefact that holds it as `adapter`, or a file beside it.
    tied: whether the base shares its embedding with its head.

    Raises:
        BadFile: no adapter there, a kind that cannot be merged exactly (DoRA, biases, whole
            modules), or one on the head or embedding of a tied model.
    """
    folder = adapter_folder(path)
    config = read_settings(folder)
    tensors = _tensors(folder)
    found: dict[str, LowRank] = {}
    pairs: set[str] = set()
    for key, a in tensors.items():
        if not (match := re.fullmatch(r"base_model\.model\.(.+)\.lora_A\.weight", key)):
            continue
        module = match[1]
        b = tensors.get(f"base_model.model.{module}.lora_B.weight")
        if b is None or a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise BadFile(f"{module} has no matching lora_B", where=str(folder), fix="train again")
        pairs |= {f"base_model.model.{module}.lora_{end}.weight" for end in "AB"}
        weight = f"{in_text_model(module)}.weight"  # trained inside a multimodal model, or not
        found[weight] = LowRank(a, b, scale_of(config, module, a.shape[0]))
    if not found or (others := sorted(set(tensors) - pairs)):
        held = f", for example {others[0]}" if found else ""
        raise BadFile(
            f"the adapter holds other tensors than pairs of lora_A and lora_B{held}",
            where=str(folder / WEIGHTS_NAME),
            fix="use a LoRA of linear layers, as PEFT's save_pretrained writes it",
        )
    if tied and (ends := [name for name in _ENDS if name in found]):
        raise BadFile(
            f"the adapter changes {ends[0]}, which the base shares between embedding and head",
            where=str(folder),
            fix="train on the linear layers of the blocks only",
        )
    return found


def merged(base: GgufFile, adapter: Path) -> dict[str, Array]:
    """Return the tensors that an adapter changes, by GGUF name: float32, GGUF's layout.

    Raises:
        BadFile: as `read_adapter`, or a matrix that the base lacks.
    """
    family = family_of_metadata(base.metadata)
    tied = "output.weight" not in base.tensors
    result = {}
    for name, pair in read_adapter(adapter, tied=tied).items():
        gguf = to_gguf(name, family.name)
        weight = base.dequantize(gguf)
        _check_shape(name, pair, weight.shape)
        result[gguf] = weight + values_to_gguf(gguf, pair.delta(), family)
    return result


def merged_state(
    state: Mapping[str, "torch.Tensor"], adapter: Path, *, tied: bool
) -> dict[str, "torch.Tensor"]:
    """Return a state dict (transformers names) with an adapter merged in, in float32.

    Raises:
        BadFile: as `read_adapter`, or a matrix that the state lacks.
    """
    import torch

    result = dict(state)
    for name, pair in read_adapter(adapter, tied=tied).items():
        if name not in state:
            raise BadFile(
                f"the base has no {name}", where=str(adapter), fix="name the adapter's own base"
            )
        _check_shape(name, pair, tuple(state[name].shape))
        result[name] = state[name].to(torch.float32) + torch.from_numpy(pair.delta())
    return result


def write_gguf_lora(adapter: Path, out: Path, base: GgufFile) -> None:
    """Write an adapter as a GGUF LoRA file for llama.cpp, float32.

    llama.cpp applies alpha / r with one alpha a file, so the file's alpha is s r: alpha itself,
    or alpha sqrt(r) for rsLoRA. Where modules differ in s r, the rest is folded into B. Rows of
    B of Llama's q and k are interleaved as the base's are.

    Raises:
        BadFile: as `merged`.
    """
    family = family_of_metadata(base.metadata)
    pairs = read_adapter(adapter, tied="output.weight" not in base.tensors)
    first = next(iter(pairs.values()))
    alpha = first.scale * first.a.shape[0]
    tensors: dict[str, TensorData] = {}
    for name, pair in pairs.items():
        gguf = to_gguf(name, family.name)
        if gguf not in base.tensors:
            raise BadFile(
                f"the base has no {gguf}", where=str(base.path), fix="name the adapter's own base"
            )
        _check_shape(name, pair, base.tensors[gguf].shape)
        heads = permuted_heads(gguf, family)
        b = to_neighbours(pair.b, heads) if heads else pair.b
        rest = pair.scale * pair.a.shape[0] / alpha
        b = b if rest == 1.0 else b * np.float32(rest)
        tensors[f"{gguf}.lora_a"] = _stored(pair.a)
        tensors[f"{gguf}.lora_b"] = _stored(b)
    metadata = {
        "general.type": "adapter",
        "general.architecture": family.name,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
    }
    write_gguf(out, metadata, tensors)


def check_base(adapter: Path, model: Path, sha256: str) -> None:
    """Refuse an adapter on a model that it was not trained on; unknown origin passes.

    adapter: a train artefact, or something in it. model: the model's file or artefact, `sha256`
    its content. A variant counts as its base, unless it holds an adapter already. Another file
    with the same weights is the base too: a folder's conversion, made again or under another name.

    Raises:
        BadConfig: the model is a variant with an adapter merged in. BadFile: another base.
    """
    variant = _facts_beside(model, VARIANT_NAME)
    if variant.get("adapter"):
        raise BadConfig(
            "an adapter is already merged into this variant; beside it, it would count twice",
            where=str(model),
            fix="leave the adapter out",
        )
    student = _facts_beside(adapter, STUDENT_NAME) or _facts_beside(adapter.parent, STUDENT_NAME)
    trained_on = student.get("base_sha256")
    known = (sha256, (variant.get("base") or {}).get("sha256"))
    if trained_on and trained_on not in known and not _same_weights(student, model):
        raise BadFile(
            f"this adapter was trained on {student.get('base')}, not on this model",
            where=f"{adapter} on {model}",
            fix=f"name {student.get('base')}, or the adapter of this model",
        )


def _same_weights(student: Mapping[str, Any], model: Path) -> bool:
    trained_on = student.get("base_weights_sha256")
    file = model / "model.gguf" if model.is_dir() else model
    return trained_on is not None and trained_on == weights_sha256(file)


def _facts_beside(path: Path, name: str) -> dict[str, Any]:
    file = (path.parent if path.is_file() else path) / name
    facts: dict[str, Any] = read_json(file) if file.is_file() else {}
    return facts


def adapter_folder(path: Path) -> Path:
    """Return the PEFT folder meant by a path: itself, its `adapter`, or that beside a file.

    Raises:
        BadFile: there is none.
    """
    start = path.parent if path.is_file() else path
    for folder in (start, start / "adapter"):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise BadFile(
        f"no {CONFIG_NAME} here",
        where=str(path),
        fix="name a PEFT adapter folder or a train artefact",
    )


def _stored(values: Array) -> TensorData:
    return TensorData("F32", values.shape, np.ascontiguousarray(values, np.float32))


def _tensors(folder: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise BadFile(f"no {WEIGHTS_NAME} here", where=str(folder), fix="train again")
    try:
        tensors = {name: each.float().numpy() for name, each in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise BadFile(f"cannot be read: {error}", where=str(path), fix="train again") from error
    for name, values in tensors.items():
        if not values.size:
            raise BadFile(
                f"{name} is empty: it was saved while its values lay on other processes",
                where=str(path),
                fix="gather the tensors before saving (DeepSpeed: "
                "stage3_gather_16bit_weights_on_model_save), or train again",
            )
        if not np.isfinite(values).all():
            raise BadFile(
                f"{name} holds NaN or infinity: the training diverged",
                where=str(path),
                fix="train again with a lower rate, or take an earlier checkpoint",
            )
    return tensors


def _check_shape(name: str, pair: LowRank, shape: tuple[int, ...]) -> None:
    own = (pair.b.shape[0], pair.a.shape[1])
    if own != tuple(shape):
        raise BadFile(
            f"the adapter's {name} is {own}, the base's {tuple(shape)}",
            fix="name the adapter's own base",
        )
