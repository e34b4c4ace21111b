"""What a probe prints of its answers: each question, what was said, right or not."""

from collections.abc import Iterator
from pathlib import Path

from seemant.core.jsonl import read_records
from seemant.core.records import Transcript
from seemant.corpus.scripts import LANGUAGE_NAMES
from seemant.probe.score import Score

MOST = 24  # answers that are printed; all of them are in transcripts.jsonl
_WIDE = 100  # characters of a question or an answer


def answers(artefact: Path) -> Iterator[str]:
    """Yield how many answers were right, a language at a time, then the answers themselves."""
    said, scored = artefact / "transcripts.jsonl", artefact / "scores.jsonl"
    if not said.is_file() or not said.stat().st_size or not scored.stat().st_size:
        return  # nothing was generated
    transcripts = read_records(said, Transcript)
    scores = {score.probe_id: score for score in read_records(scored, Score)}
    for lang, name in LANGUAGE_NAMES.items():
        judged = [s for s in scores.values() if s.lang == lang and s.correct is not None]
        if judged:
            yield f"{name}: {sum(bool(s.correct) for s in judged)} of {len(judged)} answers right"
    for each in transcripts[:MOST]:
        score = scores[each.probe_id]
        word = {True: "right", False: "wrong", None: "read "}[score.correct]
        why = f"   ({score.reason})" if score.correct is False and score.reason else ""
        yield f"  {word}  {_short(each.question)}  ->  {_short(each.output) or '(nothing)'}{why}"
    if (left := len(transcripts) - MOST) > 0:
        yield f"  and {left} more: {said}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDE else line[: _WIDE - 1].rstrip() + "…"
