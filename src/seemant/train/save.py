"""Students that travel: PEFT's folder, llama.cpp's file, a whole model, and what they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from seemant.core.atomic import atomic_path
from seemant.core.jsonl import write_json
from seemant.core.records import Lang
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.adapters import write_gguf_lora
from seemant.models.chat_words import TEMPLATE_KEY
from seemant.models.hf_config import family_of_metadata
from seemant.models.names import ROPE_TENSORS, Array, to_hf, values_to_gguf
from seemant.models.prompts import Template
from seemant.models.tokenizer import Tokenizer
from seemant.train.adapt import LoraLinear, refuse_tied_ends
from seemant.train.rows.render import end_of_turn_id
from seemant.train.tensor_file import write_tensors

ADAPTER_FOLDER = "adapter"
ADAPTER_GGUF = "adapter.gguf"
MODEL_FOLDER = "model"
STUDENT_NAME = "student.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How adapters count: the method, its alpha, and the share of their change that is kept."""

    method: str = "lora"
    alpha: float
    dropout: float = 0.0
    average: float = 1.0


def save_adapter(
    out: Path,
    adapters: Mapping[str, LoraLinear],
    *,
    how: How,
    label: str,
    base: Path,
    tied: bool,
) -> list[str]:
    """Write `adapter/` (PEFT) and, where the base is a GGUF file, `adapter.gguf` beside it.

    label: what the base is called. base: its file or folder. Returns notes on what could not be
    written.

    Raises:
        InputError: an adapter on the matrix that a tied model's embedding and head share.
    """
    refuse_tied_ends(adapters, tied=tied)
    save_peft(out / ADAPTER_FOLDER, adapters, how=how, label=label)
    if not base.is_file() or base.suffix == ".json":
        return []
    if how.method == "dora":
        return [
            "no adapter.gguf: llama.cpp's format has no place for DoRA's lengths, and "
            "`compress` and `probe` refuse such adapters; merge it with PEFT's merge_and_unload"
        ]
    write_gguf_lora(out / ADAPTER_FOLDER, out / ADAPTER_GGUF, open_gguf(base))
    return []


def save_peft(folder: Path, adapters: Mapping[str, LoraLinear], *, how: How, label: str) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads them.

    adapters: by the name of the layer in the Hugging Face model. A share of the learned change is
    a smaller alpha; none of it is written as B = 0, because llama.cpp reads alpha = 0 as 1 / r.
    """
    alpha = how.alpha * (how.average or 1.0)
    tensors: dict[str, Tensor] = {}
    for layer, module in adapters.items():
        for name, parameter in module.learned().items():
            value = parameter.detach()
            if not how.average and name.startswith("lora_B"):
                value = value * 0
            tensors[f"base_model.model.{layer}.{name}"] = value
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": label,
        "r": next(iter(adapters.values())).lora_a.shape[0],
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": how.dropout,
        "target_modules": sorted({name.rpartition(".")[2] for name in adapters}),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": how.method == "rslora",
        "use_dora": how.method == "dora",
        "modules_to_save": None,
        "inference_mode": True,
    }
    with atomic_path(folder / "adapter_model.safetensors") as path:
        write_tensors(path, tensors)
    write_json(folder / "adapter_config.json", config)


def save_model(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    tokenizer: Tokenizer,
    template: Template,
    stops: Collection[int] = (),
) -> None:
    """Write a whole model as an HF folder (float32), which transformers and `load_torch` read.

    weights: by transformers' name, a tied head once. config: the base's `config.json`.
    stops: ids at which the base's generation ends; the template's end of turn is added to them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "model.safetensors") as path:
        write_tensors(path, weights)
    tokenizer.save(folder, template.specials)
    if template.source:
        (folder / "chat_template.jinja").write_text(template.source, encoding="utf-8")
    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    write_json(folder / "config.json", {**plain, "dtype": "float32"})
    ends: set[int | None] = {*stops} or {tokenizer.eos_id}
    ends.add(end_of_turn_id(template, tokenizer))  # without it a student never stops
    eos = sorted(each for each in ends if each is not None)
    write_json(folder / "generation_config.json", {"eos_token_id": eos})


def save_gguf(
    path: Path, weights: Mapping[str, Tensor], base: GgufFile, template: Template
) -> None:
    """Write a whole model as a GGUF file in float32, with everything else the base file says.

    template: that it was trained on; it stands in the file where the base's own stood.
    """
    family = family_of_metadata(base.metadata)

    def values(name: str) -> Callable[[], list[Array]]:
        def made() -> list[Array]:
            if name in ROPE_TENSORS:
                return [base.dequantize(name)]
            found = weights[to_hf(name, family.name)].detach().float().cpu().numpy()
            return [np.ascontiguousarray(values_to_gguf(name, found, family), np.float32)]

        return made

    tensors = {
        name: TensorData("F32", known.shape, values(name)) for name, known in base.tensors.items()
    }
    fields: dict[str, Any] = {**base.fields, "general.file_type": 0}
    fields.pop(TEMPLATE_KEY, None)
    if template.source:
        fields[TEMPLATE_KEY] = template.source
    write_gguf(path, fields, tensors)


def save_student(
    out: Path,
    *,
    subject: str,
    label: str,
    base_sha256: str,
    template: Template,
    languages: Sequence[Lang],
    more: Mapping[str, Any] | None = None,
    name: str = STUDENT_NAME,
) -> None:
    """Write `student.json`: which base, prompt form and languages the student was made for.

    more: how it was made: method, kinds of the frozen matrices, notes. name: another file's.
    """
    student = {
        "subject": subject,
        "base": label,
        "base_sha256": base_sha256,
        "template": template.name,
        "template_hash": template.hash,
        "end_of_turn": template.end_of_turn,
        "languages": list(languages),
        **(more or {}),
    }
    write_json(out / name, student)
