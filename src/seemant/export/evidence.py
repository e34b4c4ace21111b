"""What was measured: the table of a card, from manifests of probes, divergences and benches."""

from collections.abc import Iterable, Sequence

from seemant.core.manifest import load_manifest
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs

ROLES = ("probe/", "divergence/", "bench/")


def evidence(inputs: Inputs) -> list[Measurement]:
    """Return the measurements of all evidence among the inputs, by role, then in their order.

    Times are left out but for those of a bench that was named: they belong to the machine that
    measured, and a card's text must not change with the load of a machine by itself.
    """
    roles = sorted(role for role in inputs if role.startswith(ROLES))
    return [
        m
        for role in roles
        for m in load_manifest(inputs[role].path).measurements
        if not m.timed or role.startswith("bench/")
    ]


def machines(inputs: Inputs) -> list[str]:
    """Return the machines on which the benches among the inputs were run, each once."""
    found = [load_manifest(i.path).hardware for r, i in inputs.items() if r.startswith("bench/")]
    return list(dict.fromkeys(str(each.get("cpu") or each) for each in found))


def table(measurements: Iterable[Measurement], machines: Sequence[str] = ()) -> str:
    """Return a Markdown table: value, interval and its method, counts, origin; or a plain "none".

    Numbers of another origin than "measured" say so, with their source.
    """
    rows = [_row(m) for m in measurements]
    if not rows:
        return "No measurements were given to this export: its quality is not known here.\n"
    head = "| subject | metric | language | value | 95 % interval | n (clusters) | origin |"
    where = [f"\nTimes and memory: {', '.join(machines)}."] if machines else []
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows, *where]) + "\n"


def _row(m: Measurement) -> str:
    if m.ci_low is None or m.ci_high is None:
        interval = m.ci_method
    else:
        interval = f"{_number(m.ci_low)} to {_number(m.ci_high)} ({m.ci_method})"
    count = f"{m.n}" if m.n_clusters is None else f"{m.n} ({m.n_clusters})"
    origin = m.origin if not m.source else f"{m.origin}: {m.source}"
    conditions = ", ".join(f"{k} {v}" for k, v in m.conditions.items() if k in _TELLING)
    metric = m.metric + (f" ({conditions})" if conditions else "")
    value = f"{_number(m.value)} {m.unit}"
    cells = (m.subject, metric, m.lang or "", value, interval, count, origin)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


_TELLING = ("route", "level", "path", "against", "reference", "tensors", "preset")


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
