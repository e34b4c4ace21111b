"""Folders of random weights with a shipped architecture's shapes."""

import json
import shutil
from pathlib import Path

from peers.work import shipped_config


def random_folder(name: str, layers: int | None, folder: Path, *, seed: int = 0) -> Path:
    """Write a Hugging Face folder of that architecture, float32; `layers`: only so many."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.rmtree(folder, ignore_errors=True)
    given = json.loads(shipped_config(name).read_text())
    if layers is not None:
        given["num_hidden_layers"] = layers
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**given), dtype=torch.float32)
    with torch.no_grad():  # norms start at one, or Gemma's at zero: let them take part
        for key, parameter in model.named_parameters():
            if "norm" in key:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder
