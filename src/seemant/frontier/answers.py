"""How many answers of a candidate were right: its own, else those of the model it was made from.

A variant is often asked by likelihood alone, as generation takes time. Where its divergence from
the model that it was made from was measured, that model's answers stand for its own, and it is said
whose they are; whether the divergence is small enough is the guard's matter.
"""

from collections.abc import Sequence

from seemant.frontier.candidates import Candidate
from seemant.frontier.verdict import Tally, tally_of


def answers(c: Candidate, others: Sequence[Candidate]) -> dict[str, Tally]:
    """Return the tallies of a candidate by language; a language without any is left out."""
    found = {lang: tally_of(reading) for lang, reading in c.right.items()}
    made_from = _made_from(c, others)
    if made_from is not None:
        for lang, reading in made_from.right.items():
            if lang not in found and (lang in c.kld or lang in c.kld_weights):
                found[lang] = tally_of(reading, made_from.subject)
    return dict(sorted(found.items()))


def _made_from(c: Candidate, others: Sequence[Candidate]) -> Candidate | None:
    """Return the model, with the same adapter, that a variant was compressed from."""
    base, adapter = (c.variant.get(key) or {} for key in ("base", "adapter"))
    if not base.get("sha256"):
        return None
    wanted = (base["sha256"], adapter.get("sha256"))
    return next((o for o in others if not o.variant and o.made_of == wanted), None)
