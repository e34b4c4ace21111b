"""The loss on held-out pairs, with an interval that respects their clusters."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seemant.core.interval import Interval
from seemant.core.measurement import MIN_CLUSTERS, TOO_FEW
from seemant.train.adapt import LoraLinear
from seemant.train.alarm.student_t import t_bound
from seemant.train.objective import base_hidden
from seemant.train.rows.render import Row
from seemant.train.student import Student

T_INTERVAL = "t over paragraphs, ratio estimator"


def answer_nats(student: Student, rows: Sequence[Row], tokens: int) -> list[float]:
    """Return the summed cross-entropy of each row's answer in nats, in the order of `rows`.

    tokens: of rows that are looked at together; memory only.
    """
    with torch.no_grad():
        return [
            nats
            for some in by_tokens(rows, tokens)
            for nats in by_row(student.token_losses(*student.hidden(some)), some)
        ]


def base_kl(
    student: Student, adapters: Mapping[str, LoraLinear], rows: Sequence[Row], tokens: int
) -> list[float]:
    """Return KL(student ‖ base) summed over each row's answer, in nats, in the order of `rows`.

    It says how far tuning has moved the student where it answers, whatever the loss says.
    """
    found: list[float] = []
    with torch.no_grad():
        for some in by_tokens(rows, tokens):
            h, _ = student.hidden(some)
            kl = student.token_kl(h, base_hidden(student, adapters, some))
            found += by_row(kl, some)
    return found


def by_row(values: Tensor, rows: Sequence[Row]) -> list[float]:
    """Return the sum of each row's values; values (M,), row after row."""
    parts = torch.split(values.double(), [row.n_answer for row in rows])
    return [float(part.sum()) for part in parts]


def by_tokens(rows: Sequence[Row], tokens: int) -> list[list[Row]]:
    """Return the rows in order, as many together as fit into so many tokens; at least one."""
    groups: list[list[Row]] = []
    left = 0
    for row in rows:
        if len(row.ids) > left or not groups:
            groups.append([])
            left = tokens
        groups[-1].append(row)
        left -= len(row.ids)
    return groups


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
    squares = sum((s - ratio * n) ** 2 for s, n in sums.values())
    half = t_bound(0.025, clusters - 1) * math.sqrt(clusters / (clusters - 1) * squares) / tokens
    return Interval(ratio, ratio - half, ratio + half, T_INTERVAL, len(rows), clusters)


def by_language(rows: Sequence[Row]) -> Mapping[str | None, list[int]]:
    """Return the indices of all rows (key None) and of each language; {} for no rows."""
    groups: dict[str | None, list[int]] = {None: list(range(len(rows)))} if rows else {}
    for lang in sorted({row.lang for row in rows}):
        groups[lang] = [i for i, row in enumerate(rows) if row.lang == lang]
    return groups


def by_bucket(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return the indices of the rows of each bucket."""
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.bucket, []).append(index)
    return groups
