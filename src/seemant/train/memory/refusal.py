"""Why no plan fits, and what to change: two edits, each of them planned and found to fit."""

from collections.abc import Callable, Iterator

from seemant.core.errors import InputError
from seemant.train.config import TrainConfig
from seemant.train.memory.plan import Plan

_SHORTEST = 32  # tokens: below it no pair is left
Fits = Callable[[TrainConfig, int], bool]


def refusal(
    plan: Plan, config: TrainConfig, limit_bytes: float, room: float, fits: Fits
) -> InputError:
    """Return the error of a search that ended above its limit.

    plan, config: the smallest that was found. fits(config, max_length) says whether a search with
    other settings would end within the limit.
    """
    name, largest = max(plan.terms.items(), key=lambda item: item[1])
    short = plan.peak_bytes - room
    edits = []
    for edit in _edits(plan, config, fits):
        edits.append(edit)
        if len(edits) == 2:
            break
    return InputError(
        f"no plan fits {limit_bytes / 1e6:,.0f} MB: the smallest takes {plan.peak_mb:,.0f} MB in "
        f"{plan.peak_phase}, {short / 1e6:,.0f} MB too many; the largest term is {name}, "
        f"{largest / 1e6:,.0f} MB",
        where="--memory-limit",
        fix=" or ".join(edits),
    )


def _edits(plan: Plan, config: TrainConfig, fits: Fits) -> Iterator[str]:
    length = plan.seq * 3 // 4 // 8 * 8
    while length >= _SHORTEST:
        if fits(config, length):
            yield f"--max-length {length}"
            break
        length = length // 2 // 8 * 8
    rank = config.rank // 2
    while rank and config.method != "full":
        if fits(config.model_copy(update={"rank": rank}), plan.seq):
            yield f"--rank {rank}"
            break
        rank //= 2
    for field, value in (("checkpointing", True), ("base", "int4"), ("embedding", "int4")):
        if config.method == "full" and field != "checkpointing":
            continue
        if getattr(config, field) != value:
            eased = config.model_copy(update={field: value})
            if fits(eased, plan.seq):
                yield f"--{field} {value}".removesuffix(" True")
    needed = plan.peak_bytes / 0.95
    yield f"--memory-limit {-(-needed // 1e7) * 10:.0f}MB"
    yield "a smaller model"
