"""Names: what a variant's measurements are about, and what its file says of itself."""

from collections import Counter
from collections.abc import Mapping

from seemant import __version__
from seemant.compress.config import CompressConfig
from seemant.compress.format_names import grid_name
from seemant.compress.plan import OUTER, TensorPlan
from seemant.core.refs import short_name
from seemant.formats.gguf_meta import MetaValue, typed
from seemant.formats.gguf_read import GgufFile
from seemant.models.catalogue import entries

# LLAMA_FTYPE numbers of llama.h, by the layout of most of the blocks' weights
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9}
FILE_TYPES |= {"Q3_K": 12, "Q4_K": 15, "Q5_K": 17, "Q6_K": 18}  # the "medium" recipes' numbers


def subject_of(config: CompressConfig, model_label: str, adapter_label: str | None) -> str:
    """Return for example "gemma-3-270m+lora/q4_0-g32"."""
    if config.subject:
        return config.subject
    lora = "+lora" if adapter_label is not None else ""
    return f"{short_name(model_label)}{lora}/{config.variant_name}"


def licence_of(file: GgufFile) -> str:
    """Return the licence that a model file names, or ""."""
    return str(file.metadata.get("general.license", ""))


def quantisation_note(config: CompressConfig) -> str:
    """Return one line on what was done."""
    block = config.block_format
    outer = config.outer_format
    head = grid_name(outer) + ("" if outer.is_k or outer.is_float else " g32")
    if config.search or len(config.formats) > 8:
        return f"{config.method_name}; formats chosen tensor by tensor"
    head += f"; {', '.join(config.formats)}" if config.formats else ""
    if block.is_k or block.is_float:
        return f"{config.method_name}, {block.name}; embedding {head}"
    share = "per channel" if block.grid.group is None else f"group {block.grid.group}"
    kind = "symmetric" if block.grid.symmetric else "asymmetric"
    return f"{config.method_name}, {block.grid.bits} bits, {share}, {kind}; embedding {head}"


def variant_metadata(
    file: GgufFile,
    config: CompressConfig,
    plan: Mapping[str, TensorPlan],
    subject: str,
    base_label: str,
    adapted: bool,
) -> dict[str, MetaValue]:
    """Return the base's metadata (tokenizer, template, shape) with the variant's own entries.

    Modified files carry a notice that they were modified, as Gemma's terms ask.
    """
    changed = "an adapter was merged and the weights were rounded" if adapted else "rounded weights"
    licence = licence_of(file)
    added: dict[str, str | int] = {
        "general.name": subject,
        "general.file_type": FILE_TYPES[_most(file, plan)],
        "general.quantization_version": 2,
        "general.quantized_by": f"seemant {__version__}",
        "general.description": f"Modified from {short_name(base_label)} by seemant: {changed}.",
        "seemant.quantisation": quantisation_note(config),
        "seemant.base": short_name(base_label),
    }
    for entry in entries().values():
        if entry.licence == licence:
            added["general.license.name"] = entry.licence_name
            added["general.license.link"] = entry.licence_url
    return {**file.fields, **{key: typed(value) for key, value in added.items()}}


def _most(file: GgufFile, plan: Mapping[str, TensorPlan]) -> str:
    """Return the layout of most of the blocks' weights."""
    weights: Counter[str] = Counter()
    for name, fate in plan.items():
        if name not in OUTER:
            weights[fate.container or "F32"] += file.tensors[name].n_weights
    return weights.most_common(1)[0][0]
