"""Adapters that travel: PEFT's folder, llama.cpp's file, and what student they make."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save as to_bytes
from torch import Tensor

from seemant.core.atomic import write_atomic
from seemant.core.jsonl import write_json
from seemant.core.records import Lang
from seemant.formats.gguf_read import open_gguf
from seemant.models.adapters import write_gguf_lora
from seemant.models.prompts import Template
from seemant.train.adapt import LoraLinear

ADAPTER_FOLDER = "adapter"
ADAPTER_GGUF = "adapter.gguf"
STUDENT_NAME = "student.json"


def save_adapter(
    out: Path, adapters: Mapping[str, LoraLinear], *, alpha: float, label: str, base: Path
) -> None:
    """Write `adapter/` (PEFT) and, where the base is a GGUF file, `adapter.gguf` beside it.

    label: what the base is called. base: its file or folder.
    """
    save_peft(out / ADAPTER_FOLDER, adapters, alpha=alpha, label=label)
    if base.is_file():
        write_gguf_lora(out / ADAPTER_FOLDER, out / ADAPTER_GGUF, open_gguf(base))


def save_peft(
    folder: Path, adapters: Mapping[str, LoraLinear], *, alpha: float, label: str
) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads them.

    adapters: by the name of the layer in the Hugging Face model.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in adapters.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = module.lora_a.detach()
        tensors[f"base_model.model.{name}.lora_B.weight"] = module.lora_b.detach()
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": label,
        "r": next(iter(adapters.values())).lora_a.shape[0],
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted({name.rpartition(".")[2] for name in adapters}),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "inference_mode": True,
    }
    write_atomic(folder / "adapter_model.safetensors", to_bytes(tensors, {"format": "pt"}))
    write_json(folder / "adapter_config.json", config)


def save_student(
    out: Path,
    *,
    subject: str,
    label: str,
    base_sha256: str,
    template: Template,
    languages: Sequence[Lang],
) -> None:
    """Write `student.json`: which base, prompt form and languages the adapter was made for."""
    student = {
        "subject": subject,
        "base": label,
        "base_sha256": base_sha256,
        "template": template.name,
        "template_hash": template.hash,
        "end_of_turn": template.end_of_turn,
        "languages": list(languages),
    }
    write_json(out / STUDENT_NAME, student)
