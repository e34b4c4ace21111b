"""The fixed split of paragraphs by id: the same id lands in the same part, in every corpus."""

from functools import lru_cache
from typing import Literal, get_args

from seemant.core.hashing import text_sha256

Split = Literal["distil", "calibration", "heldout"]
SPLITS: tuple[Split, ...] = get_args(Split)


@lru_cache(maxsize=1 << 16)
def split_of(paragraph_id: str) -> Split:
    """Return the part a paragraph belongs to: sha256(id) mod 10 is 0-5, 6-7 or 8-9."""
    digit = int(text_sha256(paragraph_id), 16) % 10
    if digit <= 5:
        return "distil"
    return "calibration" if digit <= 7 else "heldout"
