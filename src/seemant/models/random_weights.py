"""A real architecture with random weights: for memory and speed, never for quality."""

from pathlib import Path
from typing import TYPE_CHECKING

from seemant.core.jsonl import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from seemant.models.load import Dtype


def random_model(config: Path, *, seed: int = 0, dtype: "Dtype" = "float32") -> "PreTrainedModel":
    """Return the model of a shipped configuration, its weights drawn from `seed`.

    Raises:
        BadFile: the configuration is missing or not JSON.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = AutoConfig.for_model(**read_json(config))
    with torch.random.fork_rng(devices=[]):  # the caller's generator is left as it was
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            settings, dtype=getattr(torch, dtype)
        )
    return model.eval().requires_grad_(False)
