"""What a GGUF file's metadata may say that not every reader expects: parts, numbers by layer."""

from collections.abc import Mapping
from typing import Any

from seemant.core.errors import BadFile

BY_LAYER = ("attention.head_count", "attention.head_count_kv", "feed_forward_length")
"""What llama.cpp reads as one number or as one a layer (`get_key_or_arr`)."""


def check_whole(metadata: Mapping[str, Any], where: str) -> None:
    """Refuse a file that is one part of several: its tensors alone are no model.

    Raises:
        BadFile: says which part it is, and how the parts become one.
    """
    count = metadata.get("split.count")
    if not isinstance(count, int) or count < 2:
        return
    number = metadata.get("split.no")
    part = f"shard {number + 1} of {count}" if isinstance(number, int) else f"one of {count} shards"
    raise BadFile(
        f"this file is {part}, not a whole model",
        where=where,
        fix="join them: llama-gguf-split --merge FIRST-SHARD.gguf whole.gguf, and name that file",
    )


def as_one_model(metadata: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the metadata with each list of equal numbers by layer as that one number.

    Raises:
        BadFile: layers of different shapes, which no model family here has.
    """
    arch = metadata.get("general.architecture")
    for name in BY_LAYER:
        key = f"{arch}.{name}"
        value = metadata.get(key)
        if not isinstance(value, list):
            continue
        if len(set(value)) != 1:
            shown = ", ".join(map(str, value[:6])) + (", ..." if len(value) > 6 else "")
            raise BadFile(
                f"{key} differs from layer to layer ({shown}): such models are not read here",
                where=where,
                fix="use a model whose layers all have one shape",
            )
        metadata[key] = value[0]
    return metadata
