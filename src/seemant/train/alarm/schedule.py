"""At which steps a run looks at its behaviour: fixed before the first step, by counts alone.

The bounds need K before the run, and a rerun must look at the same steps, so no clock decides.
The price of a check and of a step is counted in tokens that pass the blocks: a check passes its
tokens once (the probes' and those of the held-out rows that its loss is taken on), a step passes
them `PASSES` times (forward and backward). Look 0, at the untrained model, costs as much as any.
"""

from dataclasses import dataclass

PASSES = 2.0
"""What a training step costs against a check of as many tokens. 2.0 and 2.4 were measured on
SmolLM2-135M with adapters on all linear layers, on busy machines; a lower figure makes fewer
checks."""
MAX_SHARE = 0.03
"""Most time that all checks of a run together may take."""
FEWEST = 4
"""Looks that every run gets: the slope of the loss is one over four."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """steps: where the checks are, rising, the last step among them. share: their predicted share
    of the run's time.
    """

    steps: tuple[int, ...]
    share: float


def schedule(
    total_steps: int,
    checks: int,
    *,
    check_tokens: float,
    step_tokens: float,
    max_share: float | None = MAX_SHARE,
) -> Schedule:
    """Return at most `checks` evenly spaced steps, as few as keep within `max_share`.

    At least four, or one a step in a shorter run, whatever they cost. None: no limit on the share.
    check_tokens: of one look, all that it passes. step_tokens: of a step on one rank, as every rank
    makes whole checks. The share counts look 0.
    """
    run = total_steps * step_tokens * PASSES
    n = checks
    if max_share is not None:
        n = min(n, int(max_share / (1 - max_share) * run / check_tokens) - 1)
    n = min(max(n, min(FEWEST, checks)), total_steps)
    steps = tuple(round(total_steps * k / n) for k in range(1, n + 1))
    cost = (n + 1) * check_tokens
    return Schedule(steps, cost / (cost + run))
