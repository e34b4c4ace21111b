"""Asking: each probe's answer and likelihoods, journalled one by one.

All that is to be asked goes to the engine at once, which does as much of it together as it can; a
kill loses what it is at work on, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from seemant.core.hashing import text_sha256
from seemant.core.journal import Journal
from seemant.core.progress import Tick
from seemant.core.records import Lang, Probe, Transcript
from seemant.core.seeds import derive_seed
from seemant.models.backends.protocol import (
    STUDY_SAMPLING,
    Ask,
    Backend,
    Done,
    Generation,
    Sampling,
    Score,
    Task,
)
from seemant.models.prompts import STUDY_SYSTEM_PROMPTS, Template
from seemant.probe.config import ProbeConfig
from seemant.probe.likelihood import NULL_QUESTION, AnswerNats

Kind = Literal["answer", "study"]
ANSWER: Kind = "answer"
STUDY: Kind = "study"
LIKELIHOOD, NEUTRAL = "likelihood", "neutral"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ask: its task, and the journal's entry without the outcome."""

    task: Task
    entry: dict[str, Any]
    note: str


def items(
    config: ProbeConfig, probes: Sequence[Probe], study: Sequence[Probe], template: Template
) -> list[Item]:
    """Return everything that a probe run asks, the scores of a prompt after its answer."""
    scored = scorable(probes) if config.likelihood else []
    found = [
        Item(
            Score(
                context=template.render(NULL_QUESTION[lang], lang),
                continuations=(template.answer_prefix + answer,),
            ),
            {"kind": NEUTRAL, "lang": lang, "answer": answer},
            lang,
        )
        for lang, answer in _answers(scored)
    ]
    known = {probe.id for probe in scored}
    for probe in probes:
        if config.generate:
            found.append(_question(ANSWER, probe, config, template))
        if probe.id in known:
            prompt = template.render(probe.question, probe.lang)
            options = tuple(template.answer_prefix + answer for answer in _written(probe))
            score = Score(context=prompt, continuations=options)
            found.append(Item(score, {"kind": LIKELIHOOD, "probe_id": probe.id}, probe.id))
    return found + [_question(STUDY, probe, config, template) for probe in study]


def open_items(every: Sequence[Item], journal: Journal) -> list[Item]:
    """Return those whose outcome the journal does not hold."""
    done = {_key(entry) for entry in journal.entries}
    return [item for item in every if _key(item.entry) not in done]


def ask(todo: Sequence[Item], backend: Backend, journal: Journal, tick: Tick) -> None:
    """Have the engine do it all, and journal each outcome as it comes."""
    for index, done in backend.work([item.task for item in todo]):
        journal.append(todo[index].entry | _outcome(done))
        tick(note=todo[index].note)


def transcripts(
    kind: Kind,
    probes: Sequence[Probe],
    config: ProbeConfig,
    subject: str,
    engine: tuple[str, Template],
    journal: Journal,
) -> list[Transcript]:
    """Return one transcript a probe, in order; engine: its name, and the template asked with."""
    backend, template = engine
    done = _by_probe(journal, kind)
    made = []
    for probe in probes:
        system = STUDY_SYSTEM_PROMPTS[probe.lang] if kind == STUDY else None
        sampling = _sampling(kind, config, probe)
        entry = done[probe.id]
        made.append(
            Transcript(
                probe_id=probe.id,
                lang=probe.lang,
                model=subject,
                backend=backend,
                template_hash=template.hash,
                system_prompt_hash=text_sha256(system)[:16] if system else None,
                sampling=sampling.as_dict(),
                seed=sampling.seed,
                question=probe.question,
                output=entry["text"],
                finish_reason=entry["finish_reason"],
            )
        )
    return made


def likelihoods(probes: Sequence[Probe], journal: Journal) -> dict[str, list[AnswerNats]]:
    """Return each scorable probe's answers with their likelihoods, the right one first."""
    unasked = {
        (entry["lang"], entry["answer"]): entry["scores"][0]["nats"]
        for entry in journal.entries
        if entry["kind"] == NEUTRAL
    }
    done = _by_probe(journal, LIKELIHOOD)
    return {
        probe.id: [
            AnswerNats(
                answer=answer,
                given=score["nats"],
                null=unasked[probe.lang, answer],
                n_bytes=score["n_bytes"],
                merged=score["merged"],
            )
            for answer, score in zip(_written(probe), done[probe.id]["scores"], strict=True)
        ]
        for probe in scorable(probes)
    }


def scorable(probes: Sequence[Probe]) -> list[Probe]:
    """Return the probes that have a right and a wrong answer."""
    return [probe for probe in probes if probe.accepted and probe.distractors]


def _question(kind: Kind, probe: Probe, config: ProbeConfig, template: Template) -> Item:
    system = STUDY_SYSTEM_PROMPTS[probe.lang] if kind == STUDY else None
    task = Ask(
        prompt=template.render(probe.question, probe.lang, system=system),
        sampling=_sampling(kind, config, probe),
        stop=tuple(template.stops(probe.lang)),
    )
    return Item(task, {"kind": kind, "probe_id": probe.id}, probe.id)


def _sampling(kind: Kind, config: ProbeConfig, probe: Probe) -> Sampling:
    """Return greedy decoding, or the study's sampling with a seed of this probe's own."""
    if kind == ANSWER:
        return Sampling(max_new_tokens=config.max_new_tokens)
    seed = derive_seed(config.seed, STUDY, probe.id)
    return replace(STUDY_SAMPLING, max_new_tokens=config.max_new_tokens, seed=seed)


def _outcome(done: Done) -> dict[str, Any]:
    if isinstance(done, Generation):
        return {"text": done.text.strip(), "finish_reason": done.finish_reason}
    return {"scores": [{"nats": d.nats, "n_bytes": d.n_bytes, "merged": d.merged} for d in done]}


def _answers(scored: Sequence[Probe]) -> list[tuple[Lang, str]]:
    """Return every answer that is scored, once, a language after another.

    However many probes an answer belongs to, it is scored after the neutral question once.
    """
    own = [(probe.lang, answer) for probe in scored for answer in _written(probe)]
    languages = list(dict.fromkeys(lang for lang, _ in own))
    return sorted(dict.fromkeys(own), key=lambda each: languages.index(each[0]))


def _written(probe: Probe) -> list[str]:
    return list(dict.fromkeys((probe.accepted[0], *probe.distractors)))


def _key(entry: dict[str, Any]) -> tuple[str, ...]:
    if entry["kind"] == NEUTRAL:
        return NEUTRAL, entry["lang"], entry["answer"]
    return entry["kind"], entry["probe_id"]


def _by_probe(journal: Journal, kind: str) -> dict[str, dict[str, Any]]:
    return {entry["probe_id"]: entry for entry in journal.entries if entry["kind"] == kind}
