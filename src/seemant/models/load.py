"""A model file as a torch model: GGUF or HF folder in; weights, tokenizer and template out.

A GGUF file is first expanded into the cache (`expand.py`), so both kinds are read in one way:
build the class on the meta device (nothing is allocated or initialised), map the safetensors
files, hand their tensors to the model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.models.adapters import merged_state
from seemant.models.expand import SOURCE_NAME, expand
from seemant.models.hf_config import family_of_config
from seemant.models.hf_folder import open_folder, read_state
from seemant.models.names import Family, to_hf, values_to_hf
from seemant.models.prompts import Template, template_of
from seemant.models.resolve import weights_in
from seemant.models.tokenizer import Tokenizer, tokenizer_of_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was loaded. `sha256` is the GGUF file's; an HF folder has none."""

    source: str
    sha256: str | None
    family: Family
    tied: bool
    n_parameters: int


@dataclass(frozen=True, slots=True)
class TorchModel:
    """A model ready to run: in evaluation mode, its parameters frozen."""

    model: "PreTrainedModel"
    tokenizer: Tokenizer
    template: Template
    facts: Facts


def load_torch(
    path: Path,
    *,
    adapter: Path | None = None,
    replace: Mapping[str, NDArray[np.float32]] | None = None,
    dtype: Dtype = "float32",
) -> TorchModel:
    """Return the model in a GGUF file or an HF folder (a family of `families`; safetensors).

    path: the file, the folder, or an artefact's folder that holds `model.gguf`.
    adapter: a PEFT folder or a train artefact, merged into the weights in float32.
    replace: values that stand in for tensors, by GGUF name, in GGUF's layout and shape; an
        adapter is added on top of them.
    dtype: of the weights; the file's own (dequantised) values are float32.

    The weights are mapped from disk: pages are read when first used.

    Raises:
        BadFile: damaged, of another family, without safetensors weights, or tensors that do not
            fit the model; the message names them.
    """
    path = weights_in(path)
    folder = path if path.is_dir() else expand(path)
    config = open_folder(folder).config
    family = family_of_config(config)
    state = _replaced(read_state(folder), replace or {}, family)
    tied = bool(config["tie_word_embeddings"])
    if adapter is not None:
        state = merged_state(state, adapter, tied=tied)
    source = folder / SOURCE_NAME
    facts = json.loads(source.read_bytes()) if source.is_file() else {}
    model = build(config)
    _fill(model, state, dtype, tied=tied, where=str(path))
    if factors := facts.get("rope_factors"):
        _slow_rotation(model, factors)
    n_parameters = sum(each.numel() for each in model.parameters())
    return TorchModel(
        model,
        tokenizer_of_folder(folder),
        template_of(folder),
        Facts(str(path), facts.get("sha256"), family, tied, n_parameters),
    )


def build(config: Mapping[str, Any]) -> "PreTrainedModel":
    """Return an empty model of a `config.json`: parameters on meta, buffers real."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    given = {key: value for key, value in config.items() if key not in _NOT_OF_A_MODEL}
    settings = AutoConfig.for_model(**given)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
    # Buffers (rotary frequencies, the embedding's scale) are in no file: the model's own
    # initialisation makes them, and does nothing to parameters that are still on meta.
    for module in model.modules():
        own = dict(module.named_buffers(recurse=False))
        for name, buffer in own.items():
            module.register_buffer(name, torch.empty_like(buffer, device="cpu"), persistent=False)
        if own:
            model._init_weights(module)
    return model.eval().requires_grad_(False)


_NOT_OF_A_MODEL = ("architectures", "auto_map", "quantization_config", "transformers_version")


def _fill(
    model: "PreTrainedModel",
    state: dict[str, "torch.Tensor"],
    dtype: Dtype,
    *,
    tied: bool,
    where: str,
) -> None:
    import torch

    wanted = getattr(torch, dtype)
    state = {name: tensor.to(wanted) for name, tensor in state.items()}
    head = "lm_head.weight"
    if tied:
        state[head] = state["model.embed_tokens.weight"]
    shapes = {name: tuple(each.shape) for name, each in model.state_dict().items()}
    missing = sorted(set(shapes) - set(state))
    extra = sorted(set(state) - set(shapes))
    wrong = [name for name in shapes if name in state and tuple(state[name].shape) != shapes[name]]
    if missing or extra or wrong:
        named = {"missing": missing, "unknown": extra, "of another shape": wrong}
        what = "; ".join(f"{kind}: {', '.join(each[:3])}" for kind, each in named.items() if each)
        raise BadFile(
            f"the weights do not fit the model ({what})",
            where=where,
            fix="fetch or convert the model again",
        )
    model.load_state_dict(state, strict=True, assign=True)
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    model.requires_grad_(False)


def _replaced(
    state: dict[str, "torch.Tensor"], given: Mapping[str, NDArray[np.float32]], family: Family
) -> dict[str, "torch.Tensor"]:
    import torch

    values = {
        to_hf(name, family.name): torch.from_numpy(
            np.ascontiguousarray(values_to_hf(name, np.asarray(array, np.float32), family))
        )
        for name, array in given.items()
    }
    return state | values


def _slow_rotation(model: "PreTrainedModel", factors: list[float]) -> None:
    # Llama 3's long-context factors: llama.cpp divides each rotation's frequency by its factor.
    import torch

    rotary = model.model.rotary_emb
    rotary.inv_freq = rotary.inv_freq / torch.tensor(factors)
