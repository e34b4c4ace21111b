"""The place of a method: by whom it is beaten among the variants of its own reference, in words.

Of two variants of one model the better diverges less from it in every language in no more bytes.
Divergence needs no questions, so it tells methods apart that 40 probe families cannot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.candidates import Candidate
from seemant.frontier.languages import language
from seemant.frontier.readings import Reading

SAME_BYTES = 0.005  # files that differ by less are of one size: names in their headers differ


def diverging_less(c: Candidate, others: Sequence[Candidate]) -> list[Candidate]:
    """Return who beats a variant in divergence, the one with the least in its worst language first.

    Compared are variants of the same base and adapter, in the languages of both, by weights; by the
    deployed files where one of the two has no other route.
    """
    return sorted(
        (o for o in others if o is not c and _same_origin(o, c) and _beats(o, c)),
        key=lambda o: (max(r["value"] for r in _readings(o, c)[0].values()), o.subject),
    )


def place(c: Candidate, others: Sequence[Candidate], standing: Mapping[str, Any]) -> str:
    """Return a candidate's place with its reason, one sentence.

    standing: what `standings` found so far: on_frontier, dominated_by, p_dominated, warnings.
    """
    parts = [part for part in (_by_divergence(c, others), _by_answers(standing)) if part]
    return "; ".join(parts)


def _by_divergence(c: Candidate, others: Sequence[Candidate]) -> str:
    if _bytes(c) is None or not (c.kld or c.kld_weights):
        return ""
    better = diverging_less(c, others)
    if not better:
        return "no variant of its reference diverges less in every language in as few bytes"
    best = better[0]
    theirs, ours = _readings(best, c)
    worst = max(ours, key=lambda g: ours[g]["value"])
    many = f" and {len(better) - 1} more" if len(better) > 1 else ""
    size = "the same size" if _same_size(best, c) else "a smaller file"
    return (
        f"beaten by {best.subject}{many}: {size}, divergence in {language(worst)} "
        f"{theirs[worst]['value']:.3g} against {ours[worst]['value']:.3g} nats/token"
        f" ({_sureness(theirs[worst], ours[worst])})"
    )


def _by_answers(standing: Mapping[str, Any]) -> str:
    if standing["on_frontier"]:
        return "by its answers and costs nothing beats it"
    if standing["dominated_by"]:
        chance = standing["p_dominated"]
        return (
            f"by its answers and costs {standing['dominated_by'][0]} is as good on every axis and "
            f"better on one (beaten in {chance:.0%} of the resamples)"
        )
    if not standing["obstacles"]:
        return f"off the frontier: {'; '.join(standing['warnings'][:1])}"
    return f"not ranked by its answers: {'; '.join(standing['obstacles'])}"


def _same_origin(a: Candidate, b: Candidate) -> bool:
    if not (a.variant.get("base") and b.variant.get("base")):
        return False
    return [_sha(a, key) for key in ("base", "adapter")] == [
        _sha(b, key) for key in ("base", "adapter")
    ]


def _sha(c: Candidate, key: str) -> str | None:
    entry = c.variant.get(key)
    return entry["sha256"] if entry else None


def _beats(a: Candidate, b: Candidate) -> bool:
    ours, theirs = _readings(a, b)
    if not ours or _bytes(a) is None or _bytes(b) is None:
        return False
    gaps = [theirs[lang]["value"] - ours[lang]["value"] for lang in ours]
    same = _same_size(a, b)
    if min(gaps) < 0 or not (same or _size(a) < _size(b)):
        return False
    return max(gaps) > 0 or not same


def _readings(a: Candidate, b: Candidate) -> tuple[dict[str, Reading], dict[str, Reading]]:
    one, other = (a.kld_weights, b.kld_weights)
    if not (one and other):
        one, other = a.kld, b.kld
    both = [lang for lang in one if lang in other]
    return {lang: one[lang] for lang in both}, {lang: other[lang] for lang in both}


def _bytes(c: Candidate) -> float | None:
    if c.file_bytes is not None:
        return c.file_bytes
    told = c.variant.get("file_bytes")  # of a torch-only row: its codes and what else it needs
    return None if told is None else float(told)


def _size(c: Candidate) -> float:
    found = _bytes(c)
    assert found is not None
    return found


def _same_size(a: Candidate, b: Candidate) -> bool:
    return abs(_size(a) - _size(b)) <= SAME_BYTES * _size(b)


def _sureness(low: Reading, high: Reading) -> str:
    if low["ci_high"] is None or high["ci_low"] is None:
        return "no intervals"
    return "intervals apart" if low["ci_high"] < high["ci_low"] else "intervals overlap"
