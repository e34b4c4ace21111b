"""Asking: each probe's answer and likelihoods, journalled one by one, so a kill loses one probe."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from seemant.core.hashing import text_sha256
from seemant.core.journal import Journal
from seemant.core.progress import Tick
from seemant.core.records import Lang, Probe, Transcript
from seemant.core.seeds import derive_seed
from seemant.models.backends.protocol import STUDY_SAMPLING, Backend, Sampling
from seemant.models.prompts import STUDY_SYSTEM_PROMPTS, Template
from seemant.probe.config import ProbeConfig
from seemant.probe.likelihood import NULL_QUESTION, AnswerNats

ANSWER, STUDY, LIKELIHOOD, NEUTRAL = "answer", "study", "likelihood", "neutral"
Neutral = dict[tuple[Lang, str], float]
"""(language, answer) -> nats of the answer after the neutral question."""


def greedy(config: ProbeConfig, _probe: Probe) -> Sampling:
    """Return greedy decoding."""
    return Sampling(max_new_tokens=config.max_new_tokens)


def as_in_the_study(config: ProbeConfig, probe: Probe) -> Sampling:
    """Return the study's sampling, with a seed of this probe's own."""
    seed = derive_seed(config.seed, STUDY, probe.id)
    return replace(STUDY_SAMPLING, max_new_tokens=config.max_new_tokens, seed=seed)


def transcripts(
    kind: str,
    probes: Sequence[Probe],
    config: ProbeConfig,
    subject: str,
    engine: tuple[Backend, Template],
    journal: Journal,
    tick: Tick,
) -> list[Transcript]:
    """Return one transcript a probe, in order; `kind` is "answer" (greedy) or "study"."""
    backend, template = engine
    sampling_of: Callable[[ProbeConfig, Probe], Sampling] = (
        as_in_the_study if kind == STUDY else greedy
    )
    done = _by_probe(journal, kind)
    made = []
    for probe in probes:
        system = STUDY_SYSTEM_PROMPTS[probe.lang] if kind == STUDY else None
        sampling = sampling_of(config, probe)
        entry = done.get(probe.id)
        if entry is None:
            prompt = template.render(probe.question, probe.lang, system=system)
            answer = backend.generate(prompt, sampling, template.stops(probe.lang))
            entry = {"kind": kind, "probe_id": probe.id, "text": answer.text.strip()}
            entry["finish_reason"] = answer.finish_reason
            journal.append(entry)
            tick(note=probe.id)
        made.append(
            Transcript(
                probe_id=probe.id,
                lang=probe.lang,
                model=subject,
                backend=backend.name,
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


def neutral(
    probes: Sequence[Probe], engine: tuple[Backend, Template], journal: Journal, tick: Tick
) -> Neutral:
    """Return each answer's likelihood after the neutral question of its language.

    Once a language, however many probes an answer belongs to; all of a language in a row, so that
    the engine reads its neutral question once.
    """
    backend, template = engine
    found: Neutral = {}
    for entry in journal.entries:
        if entry["kind"] == NEUTRAL:
            found[entry["lang"], entry["answer"]] = entry["nats"]
    for lang, answer in _answers(probes):
        if (lang, answer) not in found:
            prompt = template.render(NULL_QUESTION[lang], lang)
            (scored,) = backend.loglikelihood(prompt, [template.answer_prefix + answer])
            found[lang, answer] = scored.nats
            journal.append({"kind": NEUTRAL, "lang": lang, "answer": answer, "nats": scored.nats})
            tick(note=lang)
    return found


def likelihoods(
    probes: Sequence[Probe],
    engine: tuple[Backend, Template],
    unasked: Neutral,
    journal: Journal,
    tick: Tick,
) -> dict[str, list[AnswerNats]]:
    """Return each scorable probe's answers with their likelihoods, the right one first.

    unasked: from `neutral`, of the same probes.
    """
    done = _by_probe(journal, LIKELIHOOD)
    found: dict[str, list[AnswerNats]] = {}
    for probe in scorable(probes):
        entry = done.get(probe.id)
        if entry is None:
            entry = {"kind": LIKELIHOOD, "probe_id": probe.id}
            entry["answers"] = _score(probe, *engine, unasked)
            journal.append(entry)
            tick(note=probe.id)
        found[probe.id] = [AnswerNats(**answer) for answer in entry["answers"]]
    return found


def scorable(probes: Sequence[Probe]) -> list[Probe]:
    """Return the probes that have a right and a wrong answer."""
    return [probe for probe in probes if probe.accepted and probe.distractors]


def n_to_do(kind: str, probes: Sequence[Probe], journal: Journal) -> int:
    """Return how many of these probes, or of their answers, the journal does not hold yet."""
    if kind == NEUTRAL:
        return len(_answers(probes)) - len([e for e in journal.entries if e["kind"] == NEUTRAL])
    done = _by_probe(journal, kind)
    return sum(probe.id not in done for probe in probes)


def _answers(probes: Sequence[Probe]) -> list[tuple[Lang, str]]:
    """Return every answer that is scored, once, a language after another."""
    own = [(probe.lang, answer) for probe in scorable(probes) for answer in _written(probe)]
    languages = list(dict.fromkeys(lang for lang, _ in own))
    return sorted(dict.fromkeys(own), key=lambda each: languages.index(each[0]))


def _written(probe: Probe) -> list[str]:
    return list(dict.fromkeys((probe.accepted[0], *probe.distractors)))


def _score(
    probe: Probe, backend: Backend, template: Template, unasked: Neutral
) -> list[dict[str, Any]]:
    answers = _written(probe)
    prompt = template.render(probe.question, probe.lang)
    given = backend.loglikelihood(prompt, [template.answer_prefix + answer for answer in answers])
    return [
        {
            "answer": answer,
            "given": found.nats,
            "null": unasked[probe.lang, answer],
            "n_bytes": found.n_bytes,
            "merged": found.merged,
        }
        for answer, found in zip(answers, given, strict=True)
    ]


def _by_probe(journal: Journal, kind: str) -> dict[str, dict[str, Any]]:
    return {entry["probe_id"]: entry for entry in journal.entries if entry["kind"] == kind}
