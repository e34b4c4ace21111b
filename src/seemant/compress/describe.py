"""variant.json: what a variant is, in exact terms, for every room that reads it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seemant.compress.account import (
    TensorFacts,
    describe,
    ideal_bits_per_weight,
    relative_error,
)
from seemant.compress.config import PRUNING, CompressConfig
from seemant.compress.format_names import grid_name
from seemant.compress.naming import licence_of
from seemant.compress.plan import OUTER, TensorPlan, is_torch_only
from seemant.compress.reference.which import which
from seemant.compress.source import Source
from seemant.core.hashing import json_sha256
from seemant.core.stage import Inputs
from seemant.formats.packing import BLOCK
from seemant.formats.tensor_format import Format

MIXED = "mixed"  # what is said where a variant's matrices do not share something


def variant(
    config: CompressConfig,
    inputs: Inputs,
    source: Source,
    plan: Mapping[str, TensorPlan],
    accounts: Mapping[str, TensorFacts],
    written: Path,
    subject: str,
) -> dict[str, Any]:
    """Return the content of variant.json.

    format, bits, group, symmetric, container: of the blocks' matrices that no entry of `formats`
        names; of all of them where each is named, as after a search. Where they differ: "mixed",
        the mean bits of a code, and "mixed" or None for what they do not share.
    embedding, embedding_bits: of the embedding, and of an untied head beside it if that differs.
    simulated: the file is larger than its bits (3 bits in a 4-bit layout), or no file can hold it.
    on_reference_grid: most block weights meet the base file's own grid again, so that their
        small error is an artefact of the base; `embedding_on_reference_grid` says so of the
        embedding.
    nested_in_reference_grid: every second point of the base file's own grid falls half-way between
        two points of this one, so that its error is larger than it would be on any model that was
        never quantised (Q5_0 puts a group's largest weight on -16, Q4_0 on -8: d4 = 2 d5).
    bits_per_weight_file: 8 x the whole file / unique weights, header included.
    bits_per_weight_ideal: of codes and scales alone, as if a layout of that width existed.
    """
    adapter = inputs.get("adapter")
    tensors = {n: _entry(n, plan[n], accounts[n], source) for n in plan if plan[n].format}
    hashes = {name: entry["integers_sha256"] for name, entry in tensors.items()}
    n_weights = sum(account.n_weights for account in accounts.values())
    file_bytes = _whole_bytes(written, plan, source)
    return {
        "schema_version": 1,
        "name": config.variant_name,
        "subject": subject,
        "method": config.method_name,
        "formats": list(config.formats),
        **_of_blocks(config, plan, accounts),
        "sparsity": config.sparsity if config.method in PRUNING else None,
        **_of_outer(plan),
        "embedding_method": config.outer_method,
        "simulated": any(p.format is not None and p.format.simulated for p in plan.values()),
        "torch_only": is_torch_only(plan),
        "on_reference_grid": _mostly_on_grid(tensors, accounts, outer=False),
        "embedding_on_reference_grid": _mostly_on_grid(tensors, accounts, outer=True),
        "nested_in_reference_grid": _mostly_nested(plan, source, accounts),
        "reference": which(source.file).kind + (" + adapter, merged in fp32" if adapter else ""),
        "file": written.name,
        "file_bytes": file_bytes,
        "n_weights": n_weights,
        "bits_per_weight_file": 8 * file_bytes / n_weights,
        "bits_per_weight_ideal": ideal_bits_per_weight(accounts.values()),
        "relative_error": _errors(accounts, tensors),
        "integers_sha256": json_sha256(hashes),
        "base": {"label": inputs["model"].label, "sha256": inputs["model"].sha256},
        "adapter": {"label": adapter.label, "sha256": adapter.sha256} if adapter else None,
        "licence": licence_of(source.file),
        "tensors": tensors,
    }


def _of_blocks(
    config: CompressConfig,
    plan: Mapping[str, TensorPlan],
    accounts: Mapping[str, TensorFacts],
) -> dict[str, Any]:
    """Return what is said of the blocks' grids in one word each."""
    blocks = {name: fate for name, fate in plan.items() if fate.format and name not in OUTER}
    own = config.own_formats
    unnamed = [n for n, fate in blocks.items() if n not in own and fate.kind not in own]
    weights: Counter[Format] = Counter()
    for name in unnamed or blocks:
        fate = blocks[name].format
        assert fate is not None
        weights[fate] += accounts[name].n_weights
    formats = list(weights) or [config.block_format]
    total = weights.total()
    mean = sum(n * each.grid.bits for each, n in weights.items()) / total if total else 0.0
    return {
        "format": _shared([each.name for each in formats], MIXED),
        "bits": _shared([each.grid.bits for each in formats], round(mean, 3)),
        "group": _shared([each.grid.group or "channel" for each in formats], MIXED),
        "symmetric": _shared([each.grid.symmetric for each in formats], None),
        "container": _shared([each.container for each in formats], MIXED),
    }


def _shared(values: Sequence[Any], otherwise: Any) -> Any:
    return values[0] if len(set(values)) == 1 else otherwise


def _of_outer(plan: Mapping[str, TensorPlan]) -> dict[str, Any]:
    """Return what is said of the embedding and the head."""
    formats = [plan[name].format for name in OUTER if name in plan]
    names = list(dict.fromkeys(grid_name(each) for each in formats if each))
    bits = min(each.grid.bits for each in formats if each)  # the weaker of the two is warned of
    return {"embedding": ", head ".join(names), "embedding_bits": bits}


def _whole_bytes(written: Path, plan: Mapping[str, TensorPlan], source: Source) -> int:
    """Return the bytes of a model file; for codes, with what they still need of the base: its
    header (tokenizer, template) and the kept tensors as F32, so that rows can be compared.
    """
    own = written.stat().st_size
    if written.suffix == ".gguf":
        return own
    tensors = source.file.tensors
    header = source.file.path.stat().st_size - sum(t.n_bytes for t in tensors.values())
    return own + header + sum(4 * tensors[n].n_weights for n in plan if plan[n].format is None)


def _entry(name: str, fate: TensorPlan, facts: TensorFacts, source: Source) -> dict[str, Any]:
    assert fate.format is not None
    natural = None if fate.format.simulated else fate.container
    return describe(
        facts,
        stored=source.file.tensors[name].type_name,
        format=fate.format.name,
        container=fate.container,
        bits=fate.format.grid.bits,
        group=fate.format.grid.group or "channel",
        adapted=name in source.merged,
        on_reference_grid=source.lies_on(name, natural, fate.format.block),
    )


def _mostly_on_grid(
    tensors: Mapping[str, dict[str, Any]], accounts: Mapping[str, TensorFacts], *, outer: bool
) -> bool:
    chosen = {name: entry for name, entry in tensors.items() if (name in OUTER) == outer}
    total = sum(accounts[name].n_weights for name in chosen)
    on = sum(accounts[name].n_weights for name, e in chosen.items() if e["on_reference_grid"])
    return on > total / 2


def _mostly_nested(
    plan: Mapping[str, TensorPlan],
    source: Source,
    accounts: Mapping[str, TensorFacts],
) -> bool:
    blocks = [name for name, fate in plan.items() if fate.format and name not in OUTER]
    total = sum(accounts[name].n_weights for name in blocks)
    nested = sum(
        accounts[name].n_weights
        for name in blocks
        if _nests(plan[name].format) and source.layout(name) == "Q5_0"
    )
    return nested > total / 2


def _nests(format: Format | None) -> bool:
    """Return whether every second point of Q5_0 falls half-way between two of this grid's."""
    return (
        format is not None
        and format.grid.symmetric
        and format.block == BLOCK
        and format.grid.bits < 5
    )


def _errors(
    accounts: Mapping[str, TensorFacts], tensors: Mapping[str, dict[str, Any]]
) -> dict[str, float]:
    """Return relative weight errors: all blocks together, then kind by kind."""
    blocks = [accounts[name] for name in tensors if name not in OUTER]
    kinds = sorted({entry["kind"] for entry in tensors.values()})
    by_kind = {
        kind: relative_error(accounts[n] for n, e in tensors.items() if e["kind"] == kind)
        for kind in kinds
    }
    return {"blocks": relative_error(blocks), **by_kind}
