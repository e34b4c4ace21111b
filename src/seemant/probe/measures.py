"""From scores to measurements: a language at a time, clusters are families, changes are paired."""

from collections.abc import Callable, Mapping, Sequence

from seemant.core.interval import Interval
from seemant.core.measurement import Measurement, exact, of_interval
from seemant.core.records import Lang
from seemant.core.seeds import rng
from seemant.probe.diagnose import LABELS, MIN_SCRIPT_SHARE
from seemant.probe.score import Score
from seemant.stats.clusters import cluster_mean, paired_difference, proportion, sign_flip

Conditions = dict[str, str | int | float | bool | None]
Value = Callable[[Score], float | None]


def _script_followed(score: Score) -> float | None:
    return None if score.script_share is None else float(score.script_share >= MIN_SCRIPT_SHARE)


def _optional(flag: bool | None) -> float | None:
    return None if flag is None else float(flag)


SHARES: dict[str, Value] = {
    "accuracy": lambda score: _optional(score.correct),
    "script_followed": _script_followed,
    "choice_accuracy": lambda score: _optional(score.choice),
}
MEANS: dict[str, tuple[Value, str]] = {
    "pmi_margin": (lambda score: score.pmi_margin, "nats/byte"),
    "contrast_margin": (lambda score: score.margin_nats_per_byte, "nats/byte"),
    "repetition": (lambda score: score.repetition, "share"),
    "news_likeness": (lambda score: score.news_score, "nats/n-gram"),
}
POOLED = ("accuracy", "pmi_margin")  # also over all languages at once, clusters being families


def measure(
    scores: Sequence[Score],
    before: Mapping[str, Score] | None,
    *,
    subject: str,
    languages: Sequence[Lang],
    conditions: Conditions,
    seed: int,
) -> list[Measurement]:
    """Return all measurements of a probe; `before` adds the paired changes, tuned less untuned."""
    made: list[Measurement] = []
    groups: list[tuple[Lang | None, list[Score]]] = [
        (lang, [score for score in scores if score.lang == lang]) for lang in languages
    ]
    if len(languages) > 1:
        groups.append((None, list(scores)))
    for lang, group in groups:
        for name, (value, unit, of_shares) in _metrics().items():
            if lang is None and name not in POOLED:
                continue
            interval = _interval(group, value, of_shares)
            if interval is None:
                continue
            made.append(of_interval(subject, name, lang, interval, conditions, unit))
            if before is not None:
                change = _change(group, before, value, seed, name)
                if change is not None:
                    with_p = {**conditions, "p_sign_flip": change[1]}
                    name_of = f"{name}_change"
                    made.append(of_interval(subject, name_of, lang, change[0], with_p, unit))
        if lang is not None:
            made += _diagnoses(subject, lang, group, conditions)
            made += _borders(subject, lang, group, conditions)
    return made


def _metrics() -> dict[str, tuple[Value, str, bool]]:
    shares = {name: (value, "share", True) for name, value in SHARES.items()}
    return shares | {name: (value, unit, False) for name, (value, unit) in MEANS.items()}


def _interval(scores: Sequence[Score], value: Value, of_shares: bool) -> Interval | None:
    known = [(found, s.family) for s in scores if (found := value(s)) is not None]
    if not known:
        return None
    values, families = zip(*known, strict=True)
    return proportion(values, families) if of_shares else cluster_mean(values, families)


def _change(
    scores: Sequence[Score], before: Mapping[str, Score], value: Value, seed: int, name: str
) -> tuple[Interval, float] | None:
    pairs = [
        (after, earlier, score.family)
        for score in scores
        if score.probe_id in before
        and (after := value(score)) is not None
        and (earlier := value(before[score.probe_id])) is not None
    ]
    if not pairs:
        return None
    after_, before_, families = zip(*pairs, strict=True)
    differences = [a - b for a, b in zip(after_, before_, strict=True)]
    p = sign_flip(differences, families, rng(seed, "sign-flip", name))
    return paired_difference(after_, before_, families), p


def _diagnoses(
    subject: str, lang: Lang, scores: Sequence[Score], conditions: Conditions
) -> list[Measurement]:
    """Return each label's share, with the share of the same label before tuning beside it."""
    known = [s for s in scores if s.diagnosis is not None and s.before_diagnosis is not None]
    if not known:
        return []
    families = [score.family for score in known]
    made = []
    for label in LABELS:
        now = [float(score.diagnosis == label) for score in known]
        earlier = [float(score.before_diagnosis == label) for score in known]
        both = {**conditions, "share_before": sum(earlier) / len(earlier)}
        interval = proportion(now, families)
        made.append(of_interval(subject, f"diagnosis_{label}", lang, interval, both, "share"))
    charged = proportion([float(bool(score.charged)) for score in known], families)
    made.append(of_interval(subject, "charged", lang, charged, conditions, "share"))
    return made


def _borders(
    subject: str, lang: Lang, scores: Sequence[Score], conditions: Conditions
) -> list[Measurement]:
    """Return how many probes have an answer that shares a token with its prompt."""
    known = [score.merged for score in scores if score.merged is not None]
    if not known:
        return []
    n = float(sum(known))
    return [exact(subject, "merged_borders", n, "probes", lang=lang, conditions=conditions)]
