"""Quality of a candidate in a language: the mean PMI margin over probe families, and its interval.

Only likelihood margins compare models with different bases and vocabularies.
"""

from collections.abc import Mapping
from typing import Any

from seemant.core.measurement import Measurement, of_interval
from seemant.stats.clusters import cluster_mean


def quality(subject: str, lang: str, margins: Mapping[str, float]) -> Measurement:
    """Return the mean of the families' margins, nats a byte, with its cluster t interval.

    margins: family -> mean margin of its probes; at least one. Every family counts once, however
    many probes it has.
    """
    found = cluster_mean(list(margins.values()), list(margins))
    return of_interval(subject, "pmi_margin", lang, found, {}, "nats/byte")


def as_row(measurement: Measurement) -> dict[str, Any]:
    """Return the fields of a quality that the frontier's file keeps."""
    keys = ("value", "ci_low", "ci_high", "ci_method", "n", "n_clusters")
    return {key: getattr(measurement, key) for key in keys}
