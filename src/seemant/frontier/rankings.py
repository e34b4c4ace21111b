"""Rankings: candidates are compared only with those whose reference is of the same kind.

A file that was quantised already is its own reference, and its grid favours whoever meets it again;
a dithered one is a worse model that ranks methods and is never used; weights that were never
rounded are exact by construction. Numbers against different kinds never stand in one order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.compress.reference.which import DITHERED, Kind
from seemant.frontier.candidates import Candidate

FILE: Kind = "dequantised file"
FP: Kind = "fp"
NOT_SHIPPED = "made from a dithered reference: it ranks methods, and is never used"


def rankings(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Return the candidates by the kind of their reference, in a fixed order of kinds.

    A variant says its kind. A model as it is (or with its adapter) says it where what made it is
    known; else it stands with the variants that were made from it; one without variants is taken
    for a file, or for "fp" where all others are.
    """
    kinds = {_base(c): kind for c in candidates if c.variant and (kind := _own_kind(c))}
    default = FP if set(kinds.values()) == {FP} else FILE
    found: dict[str, list[Candidate]] = {}
    for c in candidates:
        base = c.made_of[0] if c.made_of else ""
        found.setdefault(_own_kind(c) or kinds.get(base, default), []).append(c)
    return {kind: found[kind] for kind in (FILE, FP, DITHERED, *sorted(found)) if kind in found}


def one_ranking(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those rows of `frontier.json` among which a recommendation may choose.

    They are of one ranking: that of the file that ships, if anything of it can be deployed, else
    the first that has something to deploy.
    """
    able = {row["ranking"] for row in rows if row["deployable"]}
    every = able or {row["ranking"] for row in rows}
    chosen = next((kind for kind in (FILE, FP) if kind in every), min(every, default=""))
    return [row for row in rows if row["ranking"] == chosen]


def _own_kind(c: Candidate) -> str:
    return str(c.variant.get("reference") or c.kind or "").partition(" + ")[0]


def _base(c: Candidate) -> str:
    return str((c.variant.get("base") or {}).get("sha256", ""))
