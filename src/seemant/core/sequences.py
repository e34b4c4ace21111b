"""What two sequences have in common."""

from collections.abc import Sequence


def n_shared(a: Sequence[object], b: Sequence[object]) -> int:
    """Return how many leading items two sequences share."""
    n = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        n += 1
    return n
