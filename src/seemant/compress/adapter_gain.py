"""How much of an adapter's change a written file really applies.

With w the base, D the adapter's change and v the file's values, over all weights of a matrix:

    gain = <v - w, D> / <D, D>

1: as trained, the rounding's own error apart. 0: the change was rounded away (merged weights met
the base's own grid again). Far above 1: rounding to nearest followed the sign of D at weights that
lay half-way, and multiplied it.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seemant.compress.plan import TensorPlan
    from seemant.compress.source import Source

LOST, MULTIPLIED = 0.5, 2.0


def adapter_gain(
    written: Path, source: "Source", plan: "Mapping[str, TensorPlan]"
) -> dict[str, float]:
    """Return the gain of a written GGUF file: of all rounded matrices together, and by the layout
    that their base is stored in ("Q5_0", "Q4_K", ...). Empty without an adapter.
    """
    import numpy as np  # the words below are read by commands that start without it

    from seemant.formats.gguf_read import open_gguf

    file = open_gguf(written)
    along: dict[str, float] = defaultdict(float)
    squared: dict[str, float] = defaultdict(float)
    for name, merged in source.merged.items():
        if plan[name].format is None:
            continue
        at = 0
        for base in source.slices_of_base(name):
            change = merged.reshape(-1, base.shape[1])[at : at + len(base)] - base
            moved = file.rows(name, at, at + len(base)) - base
            at += len(base)
            for key in ("all", source.layout(name)):
                along[key] += float(np.vdot(moved, change))
                squared[key] += float(np.vdot(change, change))
        file.forget_pages()
        source.file.forget_pages()
    return {key: along[key] / squared[key] for key in squared if squared[key] > 0}


def in_words(variant: Mapping[str, Any]) -> str | None:
    """Return what a variant's gain means for who ships it; None where no adapter was merged."""
    gain = (variant.get("adapter_gain") or {}).get("all")
    if gain is None:
        return None
    applied = f"the file applies {gain:.0%} of what the adapter changed in its weights"
    if gain < LOST:
        return (
            f"{applied}: rounding took the rest, as happens on a base that was quantised before; "
            "use method gptq, or ship the base with the adapter beside it"
        )
    if gain > MULTIPLIED:
        return f"{applied}: rounding multiplied it; use method gptq"
    if variant.get("nested_in_reference_grid") and variant.get("method") == "rtn":
        return (
            f"{applied}; the base's own points lie half-way between the file's, so rounding to "
            "nearest costs much: method gptq loses less of the model"
        )
    return applied
