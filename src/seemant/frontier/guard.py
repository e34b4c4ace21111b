"""The divergence guard: a compressed model may look well in one language and be lost in another.

Divergence compares a variant with the model that it was made from. It guards variants of one
model; it never ranks models with different bases.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from seemant.frontier.languages import language


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says: languages in which the variant is damaged, and sentences to print."""

    damaged: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(kld: Mapping[str, float], *, limit: float, ratio: float) -> Verdict:
    """Return the guard's verdict on a variant's divergences, in nats a token, as deployed.

    Above `limit` the language is damaged, and no recommendation for it takes the variant. A worst
    language above `ratio` times the best is only a warning: at very small divergences the
    runtime's own rounding is uneven too.
    """
    damaged = tuple(sorted(lang for lang, value in kld.items() if value > limit))
    warnings = [
        f"damaged in {language(lang)}: divergence {kld[lang]:.2f} nats/token, limit {limit:g}"
        for lang in damaged
    ]
    if len(kld) > 1:
        best, worst = min(kld, key=lambda g: kld[g]), max(kld, key=lambda g: kld[g])
        if kld[worst] > ratio * kld[best]:
            warnings.append(
                f"uneven: divergence {kld[worst]:.3g} nats/token in {language(worst)} is more than "
                f"{ratio:g} times the {kld[best]:.3g} in {language(best)}; "
                f"a check in {language(best)} alone would not show it"
            )
    return Verdict(damaged, tuple(warnings))
