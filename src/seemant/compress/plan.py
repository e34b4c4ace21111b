"""What becomes of each tensor: rounded to which format, or kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from seemant.compress.config import PRUNING, CompressConfig, check_fit
from seemant.compress.methods.registry import method_of
from seemant.compress.prune.survivors import refuse_without_zero
from seemant.compress.search.budget import parse_size
from seemant.compress.search.groups import MENU, fixed_bytes, groups_of
from seemant.core.errors import BadConfig, BadFile, nearest
from seemant.formats.gguf_read import GgufFile, GgufTensor
from seemant.formats.packing import BLOCK
from seemant.formats.tensor_format import Format, fits, format_of
from seemant.models.names import FAMILIES, ROPE_TENSORS, to_hf

EMBEDDING, HEAD = "token_embd.weight", "output.weight"
OUTER = (EMBEDDING, HEAD)
HEADER_ROOM = 8192  # bytes of a budget that are left to a variant's own metadata


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """One tensor's fate.

    kind: "attn_q", "ffn_down", "token_embd", "output", ...; what errors are summed over.
    format: what it is rounded to, or None: kept as F32.
    """

    kind: str
    format: Format | None = None

    @property
    def container(self) -> str | None:
        """The layout in a GGUF file; None where none holds the format, or the tensor is kept."""
        return self.format.container if self.format else None


def plan_tensors(file: GgufFile, config: CompressConfig) -> dict[str, TensorPlan]:
    """Return the plan of every tensor of a model, in the file's order.

    Matrices of the blocks get the blocks' format; the embedding and an untied head the outer one;
    formats of single tensors and kinds go first. Norms, biases and rotation factors stay F32.

    A search is looked at too: what it may choose from, and whether its budget can be met at all.

    Raises:
        BadFile: an architecture or tensors that are not known here; names them.
        BadConfig: a group that does not divide some row; names the tensor, its width, what fits.
            A search that has no answer. A calibrated embedding in a format that no file holds.
    """
    family = str(file.metadata.get("general.architecture"))
    if family not in FAMILIES:
        raise BadFile(
            f"models of the architecture {family!r} cannot be placed "
            f"(their tensors: {_some(list(file.tensors))})",
            where=str(file.path),
            fix=nearest(family, FAMILIES),
        )
    strange = [name for name in file.tensors if not _known(name, family)]
    if strange or EMBEDDING not in file.tensors:
        what = f"tensors that cannot be placed: {_some(strange)}" if strange else f"no {EMBEDDING}"
        raise BadFile(f"a {family} model with {what}", where=str(file.path))
    if config.search and not config.formats:  # afterwards `formats` holds what it chose
        _check_search(file, config)
    own = config.own_formats
    plan = {name: _plan(tensor, config, own) for name, tensor in file.tensors.items()}
    rounded = {name: fate.kind for name, fate in plan.items() if fate.format is not None}
    known = {*rounded, *rounded.values()}
    for name in own:
        if name not in known:
            raise BadConfig(
                f"no tensor {name!r} to round", where="formats", fix=nearest(name, known)
            )
    _check_outer(plan, config)
    return plan


def is_torch_only(plan: Mapping[str, TensorPlan]) -> bool:
    """Return whether some matrix fits no GGUF layout, so that no model file can be written."""
    return any(p.format is not None and p.container is None for p in plan.values())


def _plan(tensor: GgufTensor, config: CompressConfig, own: Mapping[str, Format]) -> TensorPlan:
    kind = tensor.name.split(".")[-2]
    if len(tensor.shape) != 2 or tensor.name in ROPE_TENSORS:
        return TensorPlan(kind)
    default = config.outer_format if tensor.name in OUTER else config.block_format
    wanted = own.get(tensor.name) or own.get(kind) or default
    _check(wanted, tensor)
    check_fit(config, wanted, tensor.name)
    return TensorPlan(kind, wanted)


def _check_outer(plan: Mapping[str, TensorPlan], config: CompressConfig) -> None:
    """Refuse what the embedding's method cannot do, before all layers were calibrated for it."""
    name = HEAD if HEAD in plan else EMBEDDING
    format = plan[name].format
    if format is None or method_of(config.outer_method).needs == "weights":
        return
    if format.container is None:
        raise BadConfig(
            f"{config.outer_method} on {name} needs a format that a file holds",
            where="embedding_format",
            fix="use q8_0, q6_k, q5_0 or q4_0, or embedding_method rtn",
        )
    if config.outer_method in PRUNING:
        refuse_without_zero(format, name)


def _check_search(file: GgufFile, config: CompressConfig) -> None:
    """Refuse before anything is measured what a search can only find out afterwards."""
    if bool(config.budget) == (config.divergence is not None):
        raise BadConfig(
            "a search needs a budget of bytes or a limit of divergence, one of them",
            where="budget, divergence",
            fix="--budget 240MB, or --divergence 0.1",
        )
    for each in map(format_of, config.menu):
        if each.simulated:
            raise BadConfig(
                f"no file stores {each.name} at its own size, so a search gains nothing by it",
                where="menu",
                fix=f"choose from {', '.join(MENU)}",
            )
    groups = groups_of(file, bands=config.bands)
    for group in groups:
        for each in group.menu(config.menu):
            check_fit(config, each, group.name)
    least = fixed_bytes(file, groups) + HEADER_ROOM
    least += sum(min(map(group.n_bytes, group.menu(config.menu))) for group in groups)
    if config.budget and parse_size(config.budget) < least:
        raise BadConfig(
            f"no file of this model is as small as {config.budget}",
            where="budget",
            fix=f"the smallest budget with this menu is {least} bytes ({least / 1e6:.1f} MB); "
            "another menu or a trimmed vocabulary allows less",
        )


def _check(format: Format, tensor: GgufTensor) -> None:
    columns = tensor.shape[-1]
    if format.is_k or format.is_float:
        fits(format, columns, name=tensor.name)
        return
    width = format.grid.group or columns
    if columns % width or width % BLOCK:
        raise BadConfig(
            f"group {width} does not divide a row of {columns} weights"
            if width % BLOCK == 0
            else f"a row of {width} weights is no whole number of blocks of {BLOCK}",
            where=f"tensor {tensor.name}",
            fix=_fits(columns),
        )


def _fits(columns: int) -> str:
    groups = [g for g in range(BLOCK, columns, BLOCK) if columns % g == 0]
    if not groups:
        return "no group of a multiple of 32 divides it: this model cannot be packed"
    return f"groups that divide it: {', '.join(map(str, groups))}; or none (per channel)"


def _known(name: str, family: str) -> bool:
    if name in ROPE_TENSORS:
        return True
    try:
        to_hf(name, family)
    except BadFile:
        return False
    return True


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
