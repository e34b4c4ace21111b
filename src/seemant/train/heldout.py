"""The loss on held-out pairs, with an interval that respects their clusters."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seemant.core.interval import Interval
from seemant.stats.clusters import cluster_ratio, cluster_sums
from seemant.train.adapt import LoraLinear
from seemant.train.objective import base_hidden
from seemant.train.rows.render import Row
from seemant.train.student import Student


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
    """Return (sum of nats) / (sum of answer tokens) with its interval, clustered by paragraph.

    Differences of nats between two models on the same rows give that of the paired difference.
    """
    paragraphs = [row.paragraph for row in rows]
    tokens = cluster_sums([row.n_answer for row in rows], paragraphs)
    return cluster_ratio(cluster_sums(nats, paragraphs), tokens, n=len(rows), over="paragraphs")


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
