"""A plan, and how it was found, as the text that stands before a run."""

from collections.abc import Sequence

from seemant.train.memory.plan import Plan
from seemant.train.memory.search import Step


def plan_text(plan: Plan, name: str = "") -> str:
    """Return the table of a plan: the terms of its largest phase, the others, the interval."""
    kind = plan.method if plan.method == "full" else f"{plan.method} r {plan.rank}"
    micro = f"{plan.tokens} packed" if plan.micro is None else f"{plan.micro} x {plan.seq}"
    held = "" if plan.method == "full" else f"{plan.base} base, {plan.embedding} embedding, "
    lines = [
        " ".join(f"plan {name}".split()),
        f"  {kind} ({plan.n_trainable:,} trained), {held}{plan.compute}, {plan.optimiser}",
        f"  {micro} tokens x {plan.accumulation}, at most {100 * plan.answer_share:.0f} % answers, "
        f"{'layers computed again' if plan.checkpointing else 'every layer kept'}, "
        f"block {plan.vocab_block}, malloc {plan.malloc}",
        *(f"  {name:34}{value:10,.1f} MB" for name, value in plan.terms_mb.items() if value),
        f"  {'peak, in ' + plan.peak_phase:34}{plan.peak_mb:10,.1f} MB"
        f"   [{plan.interval[0] / 1e6:,.0f}, {plan.interval[1] / 1e6:,.0f}] {plan.miss_from}",
    ]
    others = [
        f"{phase} {sum(value for _, value in items) / 1e6:,.0f}"
        for phase, items in plan.phases
        if phase != plan.peak_phase
    ]
    lines.append(f"  other phases, MB: {', '.join(others)}")
    if plan.host_bytes is not None:
        lines.append(f"  and of the host's memory {plan.host_bytes / 1e6:,.0f} MB; all predicted")
    return "\n".join(lines)


def search_text(steps: Sequence[Step], limit_bytes: float) -> str:
    """Return the steps of a search: what each would take, what it costs in time, what was done."""
    lines = [f"search for a plan within {limit_bytes / 1e6:,.0f} MB less 5 %"]
    for step in steps:
        after = f"{step.peak_bytes / 1e6:,.0f} MB" if step.peak_bytes is not None else ""
        lines.append(f"  {step.order:3} {step.name:42}{after:>12}  {step.outcome:9} {step.price}")
    return "\n".join(lines)
