"""Packing: whole rows laid into bins of so many tokens, first fit decreasing.

Longest first, each into the first bin that still has room (Johnson, 1973: at most 11/9 of the
fewest bins, plus 6/9). Nothing is split, nothing is padded: attention runs over each row alone, so
a bin is only the choice of which rows share a micro-batch.
"""

from collections.abc import Sequence


def first_fit_decreasing(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Return bins of indices into `lengths`; the lengths of each add up to at most `room`.

    Every length must be at most `room`. Equal lengths keep their order.
    """
    bins: list[list[int]] = []
    left: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        need = lengths[index]
        place = next((at for at, free in enumerate(left) if free >= need), None)
        if place is None:
            bins.append([index])
            left.append(room - need)
        else:
            bins[place].append(index)
            left[place] -= need
    return bins
