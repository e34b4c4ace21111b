"""Where each candidate stands: deployable or not, on the frontier or beaten, and how surely."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seemant.compress.reference.which import DITHERED
from seemant.frontier.bootstrap import draw, p_dominated, resampled_means
from seemant.frontier.candidates import Candidate
from seemant.frontier.config import FrontierConfig
from seemant.frontier.dominance import Floats, dominates
from seemant.frontier.guard import judge
from seemant.frontier.place import diverging_less, place
from seemant.frontier.rankings import FILE, NOT_SHIPPED, rankings


def standings(
    candidates: Sequence[Candidate],
    languages: Sequence[str],
    config: FrontierConfig,
    *,
    timed: bool,
) -> dict[str, dict[str, Any]]:
    """Return, by subject: ranking, deployable, on_frontier, p_dominated, dominated_by, place, ...

    timed: latency and memory were measured, so they are axes and a candidate without them is
    only shown; not in a ranking of which nobody was timed. Candidates of different rankings never
    meet. Quality that is missing in a language counts as the worst possible there, and so does that
    of a variant in a language that compression damaged: a lucky margin beats nobody. A damaged
    variant is never on the frontier, small as it may be.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, group in rankings(candidates).items():
        ran = timed and any(c.latency_ms is not None for c in group)
        axes = timed if name == FILE else ran
        for subject, standing in _ranked(group, languages, config, timed=axes).items():
            found[subject] = {"ranking": name, **standing}
            if name == DITHERED:
                found[subject]["deployable"] = False
                found[subject]["warnings"].insert(0, NOT_SHIPPED)
    return found


def _ranked(
    candidates: Sequence[Candidate],
    languages: Sequence[str],
    config: FrontierConfig,
    *,
    timed: bool,
) -> dict[str, dict[str, Any]]:
    """Return the standings within one ranking."""
    verdicts = {
        c.subject: judge(c.klds, limit=config.kld_limit, ratio=config.kld_ratio) for c in candidates
    }
    reasons = {c.subject: obstacles(c, timed=timed) for c in candidates}
    able = [c for c in candidates if not reasons[c.subject]]
    found: dict[str, dict[str, Any]] = {}
    if able:
        families = sorted({f for c in able for m in c.margins.values() for f in m})
        scores = score_array(able, languages, families)
        for row, c in enumerate(able):
            for lang in verdicts[c.subject].damaged:
                if lang in languages:
                    scores[row, languages.index(lang)] = np.nan
        costs = np.array([_costs(c, timed=timed) for c in able])
        means = resampled_means(scores, np.ones((1, len(families))))[0]
        beaten = dominates(np.concatenate([means, -costs], axis=1))
        counts = draw(len(families), config.resamples, config.seed)
        chance = p_dominated(scores, costs, counts)
        for j, c in enumerate(able):
            by = [able[i].subject for i in np.flatnonzero(beaten[:, j])]
            found[c.subject] = {
                "deployable": True,
                "on_frontier": not by and not set(verdicts[c.subject].damaged) & set(languages),
                "p_dominated": round(float(chance[j]), 4),
                "dominated_by": by,
            }
    shown: dict[str, Any] = {"deployable": False, "on_frontier": False, "p_dominated": None}
    for c in candidates:
        verdict = verdicts[c.subject]
        standing = found.setdefault(c.subject, {**shown, "dominated_by": []})
        standing["damaged"] = list(verdict.damaged)
        standing["obstacles"] = reasons[c.subject]
        standing["warnings"] = [*reasons[c.subject], *verdict.warnings]
        standing["diverging_less"] = [o.subject for o in diverging_less(c, candidates)]
        standing["place"] = place(c, candidates, standing)
    return found


def obstacles(c: Candidate, *, timed: bool) -> list[str]:
    """Return why a candidate can only be shown, never deployed or recommended; empty if it can."""
    reasons = []
    if c.simulated:
        reasons.append("simulated: no file of this size exists that a runtime loads")
    if c.file_bytes is None:
        reasons.append("neither compressed nor benched, so no file of it is known")
    if timed and (c.latency_ms is None or c.peak_rss_bytes is None):
        reasons.append("latency and memory were not measured")
    if not c.margins:
        reasons.append("its answers were not probed")
    return reasons


def score_array(
    candidates: Sequence[Candidate], languages: Sequence[str], families: Sequence[str]
) -> Floats:
    """Return margins as (candidates, languages, families), NaN where there is none."""
    return np.array(
        [
            [[c.margins.get(g, {}).get(f, np.nan) for f in families] for g in languages]
            for c in candidates
        ],
        dtype=np.float64,
    ).reshape(len(candidates), len(languages), len(families))


def _costs(c: Candidate, *, timed: bool) -> list[float]:
    assert c.file_bytes is not None
    if not timed:
        return [c.file_bytes]
    assert c.latency_ms is not None and c.peak_rss_bytes is not None
    return [c.latency_ms, c.peak_rss_bytes, c.file_bytes]
