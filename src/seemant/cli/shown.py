"""What the terminal shows of a finished stage: which rows, what stands below, what is noted.

Everything is in the artefact's files; here is chosen what a reader must see at once.
"""

from collections.abc import Iterator
from typing import Any

from seemant.cli.answers import answers
from seemant.cli.searched import searched
from seemant.compress.adapter_gain import in_words
from seemant.core.jsonl import read_json
from seemant.core.measurement import Measurement
from seemant.core.stage import Done, Inputs
from seemant.probe.subject import made_from_another, variant_facts

MOST_ROWS = 24  # of a damage map; a screen is 24 to 50 lines
WORST = 10  # cells that are printed of a longer one
COMPARING = ("attribution", "divergence")  # stages that hold a variant against a model
REJECTED, READING, DAMAGE = "rejected.jsonl", "reading.json", "damage.jsonl"
_OUTER = ("token_embd", "output")  # kinds of tensors outside the blocks


def table_rows(done: Done) -> list[Measurement]:
    """Return the measurements that are printed: all of them, but of a damage map its summary.

    A damage map has hundreds of cells: everything at once, the worst of those that were compressed
    alone, and the ratios are printed.
    """
    every = done.manifest.measurements
    if done.manifest.stage == "probe":  # of the diagnoses those that were made
        return [m for m in every if m.value or not m.metric.startswith("diagnosis_")]
    if done.manifest.stage != "attribution" or len(every) <= MOST_ROWS:
        return every
    whole = [m for m in every if m.conditions.get("how") == "all"]
    alone = [m for m in every if m.conditions.get("how") == "insert"]
    worst = sorted(alone, key=lambda m: -m.value)[:WORST]
    return [*whole, *worst, *(m for m in every if m.metric != "damage")]


def lines_below(done: Done, inputs: Inputs) -> Iterator[str]:
    """Yield what stands below the table: rows left out, a reading in words, the reference."""
    left_out = len(done.manifest.measurements) - len(table_rows(done))
    if left_out and done.manifest.stage == "attribution":
        yield f"the {WORST} worst that were compressed alone; {left_out} more: {done.path / DAMAGE}"
    stage = done.manifest.stage
    if stage == "probe":
        yield from answers(done.path)
    if stage == "attribution":
        yield from (f"- {each['text']}" for each in read_json(done.path / READING)["sentences"])
    if stage in ("compress", "qat"):
        facts = variant_facts(done.path)
        yield from searched(facts)
        yield from _reference(facts)
        if (gain := in_words(facts)) is not None:
            yield gain
    elif stage in COMPARING and "variant" in inputs and _other_base(inputs) is None:
        yield from _reference(variant_facts(inputs["variant"].path))


def notes(done: Done, inputs: Inputs) -> Iterator[str]:
    """Yield what a user should know although nothing failed."""
    if done.manifest.stage == "corpus":
        yield from read_json(done.path / "stats.json")["notes"]
    rejected = done.path / REJECTED
    # A corpus counts its own: its file lists the first thousand only.
    if done.manifest.stage != "corpus" and rejected.is_file():
        n_lines = len(rejected.read_bytes().splitlines())
        if n_lines:
            bad = "1 bad line was" if n_lines == 1 else f"{n_lines} bad lines were"
            yield f"{bad} left out, with the reasons: {rejected}"
    if done.manifest.stage in COMPARING and (other := _other_base(inputs)) is not None:
        model = " + ".join(inputs[role].label for role in ("model", "adapter") if role in inputs)
        yield (
            f"the variant was made from {other}, not from {model}: what tells these two apart is "
            "in the figures, too (nothing, if one is the other one rotated)"
        )


def _other_base(inputs: Inputs) -> str | None:
    return made_from_another(inputs["model"], inputs.get("adapter"), inputs.get("variant"))


def _reference(told: dict[str, Any]) -> Iterator[str]:
    """Yield what a variant's errors count from: 0 against a rounded file is no proof of quality."""
    kind = str(told.get("reference") or "")
    if not kind:
        return
    if not kind.startswith("dequantised file"):
        yield f"reference: {kind}"
        return
    yield (
        f"reference: {kind} (stored as {_stored(told)}): errors and losses count from "
        "weights that were rounded already"
    )
    parts = {"on_reference_grid": "the blocks", "embedding_on_reference_grid": "the embedding"}
    same = [part for key, part in parts.items() if told.get(key)]
    if same:
        verb = "meet" if len(same) > 1 or same[0] == "the blocks" else "meets"
        yield (
            f"  {' and '.join(same)} {verb} the file's own grid again: an error near 0 there says "
            "nothing of the model that the file was made from"
        )
    if told.get("nested_in_reference_grid"):
        yield (
            "  the file's own points fall half-way between this grid's: the error is larger than "
            "that of a model that was never rounded"
        )


def _stored(told: dict[str, Any]) -> str:
    """Return "Q4_0, embedding Q8_0": the layouts of a base file's matrices."""
    tensors = told.get("tensors", {}).values()
    inner, outer = (
        list(dict.fromkeys(e["stored"] for e in tensors if (e["kind"] in _OUTER) == outside))
        for outside in (False, True)
    )
    named = ", ".join(sorted(inner)) or "none"
    return named if inner == outer else f"{named}; embedding {', '.join(sorted(outer))}"
