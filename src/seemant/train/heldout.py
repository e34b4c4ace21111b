"""The loss on held-out pairs, with an interval that respects their clusters."""

import math
from collections.abc import Mapping, Sequence

import torch

from seemant.core.measurement import MIN_CLUSTERS, TOO_FEW
from seemant.probe.intervals import Interval
from seemant.train.render import Row
from seemant.train.student import Student

T_INTERVAL = "t over paragraphs, ratio estimator"


def answer_nats(student: Student, rows: Sequence[Row], batch: int) -> list[float]:
    """Return the summed loss of each row's answer in nats, in the order of `rows`."""
    by_length = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), i))
    nats = [0.0] * len(rows)
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            some = by_length[start : start + batch]
            losses = student.answer_losses([rows[i] for i in some])
            parts = torch.split(losses.double(), [rows[i].n_answer for i in some])
            for i, part in zip(some, parts, strict=True):
                nats[i] = float(part.sum())
    return nats


def nats_per_token(nats: Sequence[float], rows: Sequence[Row]) -> Interval:
    """Return R = (sum of nats) / (sum of answer tokens), clustered by paragraph.

    The interval is R ± t · se, se² = C / (C - 1) · Σ_c (S_c - R N_c)² / (Σ N_c)², with S_c and
    N_c the nats and tokens of cluster c and t of C - 1 degrees of freedom: the linearised
    variance of a ratio (Cochran, Sampling Techniques, 3rd ed., section 6.3). Differences of nats
    between two models on the same rows give the interval of the paired difference.
    """
    sums: dict[str, list[float]] = {}
    for value, row in zip(nats, rows, strict=True):
        cluster = sums.setdefault(row.paragraph, [0.0, 0.0])
        cluster[0] += value
        cluster[1] += row.n_answer
    tokens = sum(n for _, n in sums.values())
    ratio = sum(s for s, _ in sums.values()) / tokens
    clusters = len(sums)
    if clusters < MIN_CLUSTERS:
        return Interval(ratio, None, None, TOO_FEW, len(rows), clusters)
    from scipy.stats import t as student_t

    squares = sum((s - ratio * n) ** 2 for s, n in sums.values())
    se = math.sqrt(clusters / (clusters - 1) * squares) / tokens
    half = float(student_t.ppf(0.975, clusters - 1)) * se
    return Interval(ratio, ratio - half, ratio + half, T_INTERVAL, len(rows), clusters)


def by_language(rows: Sequence[Row]) -> Mapping[str | None, list[int]]:
    """Return the indices of all rows (key None) and of each language; {} for no rows."""
    groups: dict[str | None, list[int]] = {None: list(range(len(rows)))} if rows else {}
    for lang in sorted({row.lang for row in rows}):
        groups[lang] = [i for i, row in enumerate(rows) if row.lang == lang]
    return groups
