"""The questions: the families that ship with the project, a user's own, and the study's dozen."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from seemant.core.errors import BadRecord
from seemant.core.jsonl import read_records
from seemant.core.records import Lang, Probe
from seemant.probe.own_suite import read_own

# The original study's three queries, and one technical term, in three languages: a dozen.
STUDY_FAMILIES = ("who-are-you", "capital-india", "karnataka-cm", "tech-ram")


def load_suite(path: Path | None = None, *, rejected: Path | None = None) -> list[Probe]:
    """Return the probes of a file (`own_suite`), or the shipped ones; bad lines go to `rejected`.

    Raises:
        BadFile: the file is missing or binary.
        BadRecord: no valid line is left, an id stands twice, or an id does not end in its language.
    """
    if path is not None:
        return _checked(read_own(path, rejected=rejected), str(path))
    with as_file(files("seemant.probe") / "data" / "families.jsonl") as shipped:
        return _checked(read_records(shipped, Probe), "the shipped families")


def choose(
    probes: Sequence[Probe], languages: Sequence[Lang], n_families: int | None = None
) -> list[Probe]:
    """Return the probes in these languages, of the first `n_families` families or of all."""
    names = list(dict.fromkeys(probe.family for probe in probes))[:n_families]
    kept = set(names)
    return [probe for probe in probes if probe.family in kept and probe.lang in languages]


def study_queries(probes: Sequence[Probe], languages: Sequence[Lang]) -> list[Probe]:
    """Return the study's dozen queries, those in these languages."""
    by_family = {name: [p for p in probes if p.family == name] for name in STUDY_FAMILIES}
    return [p for group in by_family.values() for p in group if p.lang in languages]


def _checked(probes: list[Probe], where: str) -> list[Probe]:
    seen: set[str] = set()
    for probe in probes:
        if probe.id in seen:
            raise BadRecord(f"the id {probe.id!r} stands twice", where=where, fix="rename one")
        if probe.id.rpartition(".")[2] != probe.lang:
            raise BadRecord(
                f"the id {probe.id!r} does not end in its language",
                where=where,
                fix=f"name it {probe.family}.{probe.lang}: a family is one fact in all languages",
            )
        seen.add(probe.id)
    return probes
