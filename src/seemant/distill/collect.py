"""From the journal to the artefact: kept and dropped pairs, in paragraph order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seemant.core.records import Pair
from seemant.core.seeds import rng
from seemant.distill.checks import normalised
from seemant.distill.plan import Key, Slot
from seemant.distill.verdict import Dropped

SAMPLES = 5  # of each kind, for the report


def collect(
    slots: Sequence[Slot], entries: Iterable[Mapping[str, Any]], *, teacher: str, keep_input: bool
) -> tuple[list[Pair], list[Dropped]]:
    """Return the pairs kept and dropped, in slot order, whatever the order of the entries.

    A slot's kept attempt counts, else its last one. A question asked before, in an earlier slot
    of the same language, is a duplicate; words count, not case, marks or spelling variants.
    """
    last: dict[Key, Mapping[str, Any]] = {}
    for entry in entries:
        key = (str(entry["paragraph_id"]), int(entry["pair"]))
        if key not in last or entry["attempt"] > last[key]["attempt"]:
            last[key] = entry
    kept: list[Pair] = []
    dropped: list[Dropped] = []
    seen: dict[tuple[str, str], str] = {}
    for slot in slots:
        entry = last[slot.key]
        name = f"{slot.paragraph.id}.{slot.pair}"
        checks, reasons = dict(entry["checks"]), list(entry["reasons"])
        asked = (slot.paragraph.lang, normalised(str(entry["instruction"])))
        if not reasons:
            checks["not_duplicate"] = asked not in seen
            if asked in seen:
                reasons.append(f"not_duplicate: {seen[asked]} asks the same")
            else:
                seen[asked] = name
        fields = {
            "id": name,
            "lang": slot.paragraph.lang,
            "instruction": entry["instruction"],
            "input": slot.paragraph.text if keep_input else "",
            "output": entry["output"],
            "paragraph_id": slot.paragraph.id,
            "teacher": teacher,
            "checks": checks,
        }
        if reasons:
            dropped.append(Dropped(**fields, reasons=tuple(reasons), reply=entry["reply"]))
        else:
            kept.append(Pair(**fields))
    return kept, dropped


def canonical(
    slots: Sequence[Slot], entries: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the slots' entries in slot order, each slot's attempts in order."""
    place = {slot.key: at for at, slot in enumerate(slots)}
    keyed = [((str(e["paragraph_id"]), int(e["pair"])), e) for e in entries]
    ours = [(place[key], int(e["attempt"]), e) for key, e in keyed if key in place]
    return [entry for _, _, entry in sorted(ours, key=lambda item: item[:2])]


def samples(
    slots: Sequence[Slot], kept: Sequence[Pair], dropped: Sequence[Dropped], seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return five pairs of each kind, drawn by the seed, with their paragraph and reasons."""
    texts = {slot.paragraph.id: slot.paragraph.text for slot in slots}

    def draw(name: str, pairs: Sequence[Pair | Dropped]) -> list[dict[str, Any]]:
        n = min(SAMPLES, len(pairs))
        chosen = sorted(rng(seed, "samples", name).choice(len(pairs), n, replace=False).tolist())
        return [
            {
                "id": pairs[at].id,
                "lang": pairs[at].lang,
                "paragraph": texts[pairs[at].paragraph_id],
                "instruction": pairs[at].instruction,
                "output": pairs[at].output,
                "reasons": list(getattr(pairs[at], "reasons", ())),
            }
            for at in chosen
        ]

    return {"kept": draw("kept", kept) if kept else [], "dropped": draw("dropped", dropped)}
