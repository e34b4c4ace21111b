"""The reading: sentences about a damage map that say no more than was shown.

Causal words ("costs", "gives back") stand only in sentences about interventions that were run;
a column that rises with the damage "goes with" it, and nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from seemant.compress.attribution.cells import (
    ALL,
    ALPHA,
    EMBEDDING,
    KINDS,
    LAYER,
    OUTPUT,
    Damage,
    How,
)
from seemant.compress.attribution.summary import Explanation, Summary
from seemant.core.records import Record

NAMES = {"hi": "Hindi", "kn": "Kannada", "en": "English"}
COLUMN_WORDS = {
    "relative_error": "the size of its rounding error",
    "weighted_error": "its error weighted by what flows in",
    "kurtosis": "the kurtosis of what flows in",
    "max_over_rms": "the peak (max over rms) of what flows in",
    "top8_share": "the share of eight channels in what flows in",
    "effective_rank": "the effective rank of what flows in",
    "cka": "how alike its output stays to the reference's (CKA)",
}
_NOTABLE_RATIO = 1.25  # language ratios of single layers nearer than this to the common one


class Sentence(Record):
    """basis: an intervention that was run, an association that was seen, or a plain figure."""

    text: str
    basis: Literal["intervention", "association", "figure"]


def reading(rows: Sequence[Damage], summary: Summary, *, folded: bool) -> list[Sentence]:
    """Return the sentences, most important first."""
    return [
        *_everything(rows),
        *_interaction(summary),
        *_stand_out(rows),
        *_parts(rows),
        *_structure(summary),
        *_languages(summary),
        *_associations(summary.explanations),
        *_limits(rows, folded),
    ]


def _everything(rows: Sequence[Damage]) -> Iterator[Sentence]:
    found = [row for row in rows if row.site == ALL]
    if not found:
        return
    told = "; ".join(
        f"{NAMES[r.lang]} {r.kld:.3g} nats a token ({r.per_byte:.3g} a byte)" for r in found
    )
    yield Sentence(text=f"With everything compressed the divergence is: {told}.", basis="figure")
    if len(found) > 1 and all(row.per_byte_low is not None for row in found):
        worst = max(found, key=lambda r: r.per_byte)
        best = min(found, key=lambda r: r.per_byte)
        apart = (
            worst.per_byte_low is not None
            and best.per_byte_high is not None
            and worst.per_byte_low > best.per_byte_high
        )
        text = (
            f"Per byte of text, {NAMES[worst.lang]} loses most and {NAMES[best.lang]} least."
            if apart
            else "Per byte of text, the intervals do not tell the languages apart."
        )
        yield Sentence(text=text, basis="figure")


def _interaction(summary: Summary) -> Iterator[Sentence]:
    for ratio in summary.interaction:
        if ratio.low is None or ratio.high is None:
            continue
        if ratio.low > 1:
            word = "more than the sum of its parts: errors compound"
        elif ratio.high < 1:
            word = "less than the sum of its parts: errors overlap or cancel"
        else:
            word = "which the interval does not tell from their sum"
        times = _with_ends(ratio.value, ratio.low, ratio.high)
        yield Sentence(
            text=f"In {NAMES[ratio.lang]} compressing everything costs {times} times "
            f"what the parts cost one at a time, {word}.",
            basis="intervention",
        )


def _stand_out(rows: Sequence[Damage]) -> Iterator[Sentence]:
    words: tuple[tuple[How, str], ...] = (
        ("insert", "Compressed alone, {} cost{} more than the median layer in {}."),
        ("remove", "Restored alone, {} give{} back more than the median layer does in {}."),
    )
    for how, words_of in words:
        cells = [r for r in rows if r.how == how and r.site == LAYER]
        for lang in dict.fromkeys(r.lang for r in cells):
            own = sorted((r for r in cells if r.lang == lang), key=lambda r: -r.kld)
            if own[0].low is None or len(own) < 3:
                continue  # too few paragraphs or layers to be told apart: nothing was tested
            middle = sorted(r.kld for r in own)[len(own) // 2]
            above = [r for r in own if r.q is not None and r.q <= ALPHA and r.kld > middle]
            if not above:
                text = (
                    f"No single layer stands out in {NAMES[lang]} when layers are "
                    f"{'compressed' if how == 'insert' else 'restored'} one at a time."
                )
            else:
                listed = _listed([f"{r.layer} ({r.kld:.2g})" for r in above[:5]])
                many = len(above[:5]) > 1
                name = f"layer{'s' if many else ''} {listed}"
                text = words_of.format(name, "" if many else "s", NAMES[lang])
            yield Sentence(text=text, basis="intervention")


def _parts(rows: Sequence[Damage]) -> Iterator[Sentence]:
    places = {EMBEDDING: "the embedding", OUTPUT: "the head", **{k: f"all {k}" for k in KINDS}}
    for lang in dict.fromkeys(r.lang for r in rows):
        own = [
            r
            for r in rows
            if r.lang == lang and r.layer is None and r.how == "insert" and r.site in places
        ]
        if len(own) > 1:
            first, second = sorted(own, key=lambda r: -r.kld)[:2]
            yield Sentence(
                text=f"Of the parts that were compressed alone, {places[first.site]} costs most in "
                f"{NAMES[lang]} ({first.kld:.3g} nats a token), then {places[second.site]} "
                f"({second.kld:.3g}).",
                basis="intervention",
            )


def _structure(summary: Summary) -> Iterator[Sentence]:
    kinds = {
        "noise": "Gaussian noise of the same size",
        "permuted": "the same errors with their columns in another order",
    }
    for how, name in kinds.items():
        for ratio in summary.structure.get(how, ()):
            if ratio.low is None or ratio.high is None:
                continue
            if ratio.low > 1:
                end = "their structure does harm beyond their size"
            elif ratio.high < 1:
                end = "they do less harm than their size"
            else:
                end = "only their size is seen to matter"
            times = _with_ends(ratio.value, ratio.low, ratio.high)
            yield Sentence(
                text=f"In {NAMES[ratio.lang]} the errors of single layers cost {times} "
                f"times what {name} costs: {end}.",
                basis="intervention",
            )


def _languages(summary: Summary) -> Iterator[Sentence]:
    pairs = dict.fromkeys((e.first, e.second) for e in summary.language_effects)
    for first, second in pairs:
        own = [e for e in summary.language_effects if (e.first, e.second) == (first, second)]
        times = _with_ends(own[0].overall, own[0].low, own[0].high)
        text = (
            f"A layer compressed alone costs {NAMES[first]} {times} times what it "
            f"costs {NAMES[second]}, per byte"
        )
        far = [e for e in own if max(e.ratio / e.overall, e.overall / e.ratio) > _NOTABLE_RATIO]
        if far:
            far = sorted(far, key=lambda e: -abs(e.ratio / e.overall - 1))[:3]
            listed = _listed([f"{e.layer} ({e.ratio:.2f})" for e in far])
            text += f"; after shrinkage, unlike the rest: layer{'s' * (len(far) > 1)} {listed}."
        else:
            text += f"; after shrinkage no layer is {_NOTABLE_RATIO:g} times off that, or more."
        yield Sentence(text=text, basis="intervention")


def _associations(explanations: Sequence[Explanation]) -> Iterator[Sentence]:
    by_column: dict[str, list[Explanation]] = {}
    for each in explanations:
        if each.low > 0 or each.high < 0:
            by_column.setdefault(each.column, []).append(each)
    for column, found in by_column.items():
        for sign, verb in ((1, "goes with more"), (-1, "goes with less")):
            own = [e for e in found if e.rho * sign > 0]
            if own:
                told = ", ".join(f"{NAMES[e.lang]} {e.rho:+.2f}" for e in own)
                name = COLUMN_WORDS[column]
                text = f"{name[0].upper()}{name[1:]} {verb} damage over layers (rho: {told})."
                yield Sentence(text=text, basis="association")
    if explanations and not by_column:
        text = "No column goes with the damage over layers: all intervals hold 0."
        yield Sentence(text=text, basis="association")


def _limits(rows: Sequence[Damage], folded: bool) -> Iterator[Sentence]:
    if folded:
        text = (
            "The variant's scales were folded into its neighbours, so single matrices cannot be "
            "exchanged; only whole layers were."
        )
        yield Sentence(text=text, basis="figure")
    if any(row.low is None for row in rows):
        text = "Some language has fewer than 8 paragraphs: its figures have no intervals."
        yield Sentence(text=text, basis="figure")


def _with_ends(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _listed(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else items[0]
