"""What to do next, by the verdict: a sentence each, with commands to paste."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.evidence import serve_command
from seemant.frontier.verdict import Word

LARGER = "hf:Qwen/Qwen3-1.7B"
"""A larger model to ask first; multilingual, with a licence that lets anybody use it."""
TEXT = "my-text.txt"
"""What a user's own text is called in the commands."""

Step = dict[str, Any]
"""{"what": a sentence, "commands": [words of a command, ...]}."""


def next_steps(
    word: Word,
    row: Mapping[str, Any] | None,
    languages: Sequence[str],
    *,
    max_file_bytes: float | None = None,
    nodes: str | None = None,
) -> list[Step]:
    """Return what to do next about a candidate, the most promising step first.

    row: the candidate of `frontier.json`; None where there was none, and without one it is as with
    too little evidence. nodes: the folder in which inputs lie under their names.
    """
    serve = serve_command(row, nodes) if row else None
    asked = ["--languages", *languages]
    model = serve[2:] if serve else ["MODEL"]
    if word == "good":
        return [_step("Talk to it in a browser", serve)] if serve else []
    if word == "not enough evidence":
        what = "Let it answer all questions, then ask for a recommendation again"
        return [_step(what, ["seemant", "probe", *model, *asked])]
    origin = _origin(row, nodes)
    calibrated = ["--calibration", TEXT]
    gptq = ["seemant", "compress", *origin, "--method", "gptq", "--bits", "4", *calibrated]
    search = ["seemant", "compress", *origin, "--search", *_goal(word, max_file_bytes)]
    search += ["--languages", *languages, *calibrated]
    if word == "damaged by compression":
        return [
            _step("Round with GPTQ, which keeps far more at four bits", gptq),
            _step("Or search for formats that lose no language", search),
        ]
    if word == "too big":
        return [
            _step("Search for the best file of that size", search),
            _step("Or compress to four bits with GPTQ", gptq),
        ]
    more = [
        ["seemant", "distill", "paragraphs.jsonl", "--teacher", "openai:URL#MODEL"],
        ["seemant", "train", origin[0], "runs/distill/ID"],
    ]
    return [
        _step("Ask a larger model the same questions", ["seemant", "probe", LARGER, *asked]),
        _step("Or tune on more pairs, written by a stronger teacher", *more),
    ]


def _goal(word: Word, max_file_bytes: float | None) -> list[str]:
    if word == "too big" and max_file_bytes:
        return ["--budget", f"{max_file_bytes / 1e6:.0f}MB"]
    return ["--divergence", "0.1"]


def _origin(row: Mapping[str, Any] | None, nodes: str | None) -> list[str]:
    """Return the words that name the uncompressed model of a candidate, with its adapter."""
    if not row:
        return ["MODEL"]
    variant = row.get("variant") or {}
    base = (variant.get("base") or {}).get("label") or row.get("ref") or "MODEL"
    adapter = (variant.get("adapter") or {}).get("label") or row.get("adapter")
    if not adapter:
        return [base]
    inside = nodes and "/" not in adapter
    return [base, "--adapter", f"{nodes}/{adapter}" if inside else adapter]


def _step(what: str, *commands: list[str]) -> Step:
    return {"what": what, "commands": list(commands)}
