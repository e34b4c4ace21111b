"""Exchanges: one question with the model's answer before and after a change, and both diagnoses."""

from collections.abc import Sequence
from dataclasses import dataclass

from seemant.core.records import Transcript
from seemant.probe.score import Score
from seemant.report.figures import subject_of, variant_of
from seemant.report.nodes import Node, lines_of, named, of_stage

STUDY = "study_"  # the files of the study's own sampling carry this prefix


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, how it was judged, and whether it ended by itself."""

    text: str
    diagnosis: str | None
    correct: bool | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question to one subject. `before` is None where nothing was asked before."""

    subject: str
    probe_id: str
    lang: str
    category: str
    question: str
    before: Answer | None
    after: Answer
    charged: bool

    @property
    def family(self) -> str:
        """The probe family."""
        return self.probe_id.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Talk:
    """All exchanges of one probe node; `sampling` in words, the hashes of template and prompt.

    is_variant: a compressed file answered, and not the student as it was trained.
    """

    subject: str
    before_subject: str | None
    is_variant: bool
    exchanges: tuple[Exchange, ...]
    sampling: str
    template_hash: str
    system_prompt_hash: str | None


def talks(nodes: Sequence[Node], prefix: str = "") -> list[Talk]:
    """Return one talk a probe node that has transcripts; a "before" stands within its successor."""
    found = []
    for node in of_stage(nodes, "probe"):
        earlier = named(nodes, node.source("before"))
        said = lines_of(node, f"{prefix}transcripts.jsonl", Transcript)
        if said:
            found.append(_talk(node, nodes, earlier, said, prefix))
    earlier_ones = {talk.before_subject for talk in found}
    return [talk for talk in found if talk.subject not in earlier_ones]


def _talk(
    node: Node, nodes: Sequence[Node], earlier: Node | None, said: list[Transcript], prefix: str
) -> Talk:
    subject = subject_of(node, nodes)
    scores = _scores(node, prefix)
    old = lines_of(earlier, f"{prefix}transcripts.jsonl", Transcript) if earlier else []
    old_scores = _scores(earlier, prefix) if earlier else {}
    before = {t.probe_id: _answer(t, old_scores.get(t.probe_id)) for t in old}
    exchanges = []
    for t in said:
        score = scores.get(t.probe_id)
        known = before.get(t.probe_id)
        if known and score and score.before_diagnosis:  # judged side by side: the same reading
            known = Answer(known.text, score.before_diagnosis, known.correct, known.cut)
        exchanges.append(
            Exchange(
                subject,
                t.probe_id,
                t.lang,
                score.category if score else "",
                t.question,
                known,
                _answer(t, score),
                bool(score and score.charged),
            )
        )
    first = said[0]
    return Talk(
        subject,
        subject_of(earlier, nodes) if earlier else None,
        variant_of(node, nodes) is not None,
        tuple(exchanges),
        _sampling(first),
        first.template_hash,
        first.system_prompt_hash,
    )


def _scores(node: Node, prefix: str) -> dict[str, Score]:
    return {score.probe_id: score for score in lines_of(node, f"{prefix}scores.jsonl", Score)}


def _answer(t: Transcript, score: Score | None) -> Answer:
    return Answer(
        t.output,
        score.diagnosis if score else None,
        score.correct if score else None,
        t.finish_reason == "length",
    )


def _sampling(t: Transcript) -> str:
    given = t.sampling
    limit = f"at most {given.get('max_new_tokens', '?')} new tokens, through {t.backend}"
    if not given.get("temperature"):
        return f"greedy, {limit}"
    return (
        f"sampled: temperature {given['temperature']}, top_p {given.get('top_p', 1)}, "
        f"repetition penalty {given.get('repetition_penalty', 1)}, {limit}"
    )
