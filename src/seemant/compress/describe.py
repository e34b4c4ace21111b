"""variant.json: what a variant is, in exact terms, for every room that reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seemant.compress.account import (
    TensorAccount,
    describe,
    ideal_bits_per_weight,
    relative_error,
)
from seemant.compress.config import CompressConfig, grid_name
from seemant.compress.naming import licence_of
from seemant.compress.plan import EMBEDDING, HEAD, TensorPlan
from seemant.compress.source import Source
from seemant.core.hashing import json_sha256
from seemant.core.stage import Inputs
from seemant.formats.packing import BLOCK, CONTAINERS, container_of

OUTER = (EMBEDDING, HEAD)


def variant(
    config: CompressConfig,
    inputs: Inputs,
    source: Source,
    plan: Mapping[str, TensorPlan],
    accounts: Mapping[str, TensorAccount],
    written: Path,
    subject: str,
) -> dict[str, Any]:
    """Return the content of variant.json.

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
    container = container_of(config.block_grid)
    tensors = {n: _entry(n, plan[n], accounts[n], source) for n in plan if plan[n].grid}
    hashes = {name: entry["integers_sha256"] for name, entry in tensors.items()}
    n_weights = sum(account.n_weights for account in accounts.values())
    file_bytes = _whole_bytes(written, plan, source)
    return {
        "schema_version": 1,
        "name": config.variant_name,
        "subject": subject,
        "method": "rtn",
        "bits": config.bits,
        "group": "channel" if config.group is None else config.group,
        "symmetric": config.symmetric,
        "embedding": grid_name(config.embedding_grid),
        "embedding_bits": config.embedding_bits,
        "container": container,
        "simulated": container is None or CONTAINERS[container].bits != config.bits,
        "torch_only": container is None,
        "on_reference_grid": _mostly_on_grid(tensors, accounts, outer=False),
        "embedding_on_reference_grid": _mostly_on_grid(tensors, accounts, outer=True),
        "nested_in_reference_grid": _mostly_nested(config, tensors, accounts),
        "reference": "dequantised file" + (" + adapter, merged in fp32" if adapter else ""),
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


def _whole_bytes(written: Path, plan: Mapping[str, TensorPlan], source: Source) -> int:
    """Return the bytes of a model file; for codes, with what they still need of the base: its
    header (tokenizer, template) and the kept tensors as F32, so that rows can be compared.
    """
    own = written.stat().st_size
    if written.suffix == ".gguf":
        return own
    tensors = source.file.tensors
    header = source.file.path.stat().st_size - sum(t.n_bytes for t in tensors.values())
    return own + header + sum(4 * tensors[n].n_weights for n in plan if plan[n].grid is None)


def _entry(name: str, fate: TensorPlan, account: TensorAccount, source: Source) -> dict[str, Any]:
    assert fate.grid is not None
    return describe(
        account,
        stored=source.file.tensors[name].type_name,
        container=fate.container,
        bits=fate.grid.bits,
        group=fate.grid.group or "channel",
        adapted=name in source.merged,
        on_reference_grid=source.lies_on(name, _natural(fate), fate.grid.group),
    )


def _natural(fate: TensorPlan) -> str | None:
    """Return the layout if the grid fills it: 3 bits in Q4_0 are not Q4_0's grid."""
    if fate.grid is None or fate.container is None:
        return None
    return fate.container if CONTAINERS[fate.container].bits == fate.grid.bits else None


def _mostly_on_grid(
    tensors: Mapping[str, dict[str, Any]], accounts: Mapping[str, TensorAccount], *, outer: bool
) -> bool:
    chosen = {name: entry for name, entry in tensors.items() if (name in OUTER) == outer}
    total = sum(accounts[name].n_weights for name in chosen)
    on = sum(accounts[name].n_weights for name, e in chosen.items() if e["on_reference_grid"])
    return on > total / 2


def _mostly_nested(
    config: CompressConfig,
    tensors: Mapping[str, dict[str, Any]],
    accounts: Mapping[str, TensorAccount],
) -> bool:
    if not config.symmetric or config.group != BLOCK or config.bits >= 5:
        return False
    blocks = {name: entry for name, entry in tensors.items() if name not in OUTER}
    total = sum(accounts[name].n_weights for name in blocks)
    nested = sum(accounts[name].n_weights for name, e in blocks.items() if e["stored"] == "Q5_0")
    return nested > total / 2


def _errors(
    accounts: Mapping[str, TensorAccount], tensors: Mapping[str, dict[str, Any]]
) -> dict[str, float]:
    """Return relative weight errors: all blocks together, then kind by kind."""
    blocks = [accounts[name] for name in tensors if name not in OUTER]
    kinds = sorted({entry["kind"] for entry in tensors.values()})
    by_kind = {
        kind: relative_error(accounts[n] for n, e in tensors.items() if e["kind"] == kind)
        for kind in kinds
    }
    return {"blocks": relative_error(blocks), **by_kind}
