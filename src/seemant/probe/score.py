"""One line of `scores.jsonl` a probe: what was said, what was known, and the diagnosis."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from seemant.core.jsonl import read_records
from seemant.core.records import Lang, Probe, Record, Transcript
from seemant.probe.diagnose import Label, diagnose, flags
from seemant.probe.likelihood import AnswerNats, margins
from seemant.probe.reading import Reading, read


class Score(Record):
    """The scores of one probe. Those of a part that was not run are None.

    correct: None where the question has no stable answer; `reason` says why a reply is wrong.
    script_share: letters in the language's script. repetition: seq-rep-4. compression: bytes to
        deflated bytes. news_score: log-odds, nats a n-gram, news against other styles.
    margin_nats_per_byte, pmi_margin: nats a byte of answer (`likelihood.py`). choice: the right
        answer has the largest PMI. merged: prompt and some answer share a token.
    diagnosis, before_diagnosis: of this reply and of the untuned model's; both or neither.
        charged: this one is new and not a pass.
    """

    probe_id: str
    family: str
    lang: Lang
    category: str
    correct: bool | None = None
    reason: str = ""
    script_share: float | None = None
    repetition: float | None = None
    compression: float | None = None
    news_score: float | None = None
    news_cues: int | None = None
    n_aksharas: int | None = None
    margin_nats_per_byte: float | None = None
    pmi_margin: float | None = None
    choice: bool | None = None
    merged: bool | None = None
    diagnosis: Label | None = None
    before_diagnosis: Label | None = None
    charged: bool | None = None
    flags: dict[str, bool] = Field(default_factory=dict)


class Before:
    """What the same model answered before tuning, by probe."""

    def __init__(self, replies: Mapping[str, str], scores: Mapping[str, Score]) -> None:
        self.replies = replies
        self.scores = scores


def load_before(artefact: Path, transcripts_name: str = "transcripts.jsonl") -> Before:
    """Return the replies and scores of an earlier probe artefact; absent or empty files mean none.

    Raises:
        BadFile, BadRecord: a file is damaged.
    """
    said, scored = artefact / transcripts_name, artefact / "scores.jsonl"
    replies = read_records(said, Transcript) if _holds_something(said) else []
    scores = read_records(scored, Score) if _holds_something(scored) else []
    return Before({t.probe_id: t.output for t in replies}, {s.probe_id: s for s in scores})


def _holds_something(file: Path) -> bool:
    """Return whether there are lines: a probe without `generate` leaves an empty file."""
    return file.is_file() and file.stat().st_size > 0


def score_all(
    probes: Sequence[Probe],
    replies: Mapping[str, str],
    likelihoods: Mapping[str, Sequence[AnswerNats]],
    *,
    before: Mapping[str, str] | None,
    untuned: bool,
) -> list[Score]:
    """Return one score a probe that has a reply or likelihoods.

    before: replies of the same model before tuning, by probe. Without them an untuned model's
    replies are their own counterpart; any other model gets no diagnosis at all.
    """
    scores = []
    for probe in probes:
        fields: dict[str, object] = {}
        if probe.id in replies:
            fields |= _judge(probe, replies[probe.id], before, untuned)
        if probe.id in likelihoods:
            fields |= _known(likelihoods[probe.id])
        if fields:
            own = {"probe_id": probe.id, "family": probe.family, "lang": probe.lang}
            scores.append(Score.model_validate(own | {"category": probe.category} | fields))
    return scores


def _judge(
    probe: Probe, reply: str, before: Mapping[str, str] | None, untuned: bool
) -> dict[str, object]:
    reading = read(reply, probe)
    fields: dict[str, object] = {
        "correct": reading.correct,
        "reason": reading.reason,
        "script_share": reading.script_share,
        "repetition": reading.repetition,
        "compression": reading.compression,
        "news_score": reading.news_score,
        "news_cues": reading.news_cues,
        "n_aksharas": reading.n_aksharas,
        "flags": flags(reading),
    }
    earlier: Reading | None = None
    if before is not None and probe.id in before:
        earlier = read(before[probe.id], probe)
    if earlier is not None or (before is None and untuned):
        found = diagnose(reading, earlier)
        fields["diagnosis"] = found.label
        fields["before_diagnosis"] = found.before
        fields["charged"] = found.charged
    return fields


def _known(answers: Sequence[AnswerNats]) -> dict[str, object]:
    found = margins(answers[0], answers[1:])
    return {
        "margin_nats_per_byte": found.contrast,
        "pmi_margin": found.pmi,
        "choice": found.choice,
        "merged": any(answer.merged for answer in answers),
    }
