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

ANSWER, STUDY, LIKELIHOOD = "answer", "study", "likelihood"


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


def likelihoods(
    probes: Sequence[Probe], engine: tuple[Backend, Template], journal: Journal, tick: Tick
) -> dict[str, list[AnswerNats]]:
    """Return each scorable probe's answers with their likelihoods, the right one first.

    An answer's likelihood after the neutral question is computed once a language, however many
    probes it belongs to.
    """
    done = _by_probe(journal, LIKELIHOOD)
    null: dict[tuple[Lang, str], float] = {}
    found: dict[str, list[AnswerNats]] = {}
    for probe in scorable(probes):
        entry = done.get(probe.id)
        if entry is None:
            entry = {"kind": LIKELIHOOD, "probe_id": probe.id}
            entry["answers"] = _score(probe, *engine, null)
            journal.append(entry)
            tick(note=probe.id)
        found[probe.id] = [AnswerNats(**answer) for answer in entry["answers"]]
        for answer in entry["answers"]:  # in the journal too: a resumed run asks nothing twice
            null[probe.lang, answer["answer"]] = answer["null"]
    return found


def scorable(probes: Sequence[Probe]) -> list[Probe]:
    """Return the probes that have a right and a wrong answer."""
    return [probe for probe in probes if probe.accepted and probe.distractors]


def n_to_do(kind: str, probes: Sequence[Probe], journal: Journal) -> int:
    """Return how many of these probes the journal does not hold yet."""
    done = _by_probe(journal, kind)
    return sum(probe.id not in done for probe in probes)


def _score(
    probe: Probe,
    backend: Backend,
    template: Template,
    null: dict[tuple[Lang, str], float],
) -> list[dict[str, Any]]:
    answers = list(dict.fromkeys((probe.accepted[0], *probe.distractors)))
    written = {answer: template.answer_prefix + answer for answer in answers}
    prompt = template.render(probe.question, probe.lang)
    given = backend.loglikelihood(prompt, [written[answer] for answer in answers])
    new = [answer for answer in answers if (probe.lang, answer) not in null]
    if new:
        neutral = template.render(NULL_QUESTION[probe.lang], probe.lang)
        scored = backend.loglikelihood(neutral, [written[answer] for answer in new])
        for answer, found in zip(new, scored, strict=True):
            null[probe.lang, answer] = found.nats
    return [
        {
            "answer": answer,
            "given": found.nats,
            "null": null[probe.lang, answer],
            "n_bytes": found.n_bytes,
            "merged": found.merged,
        }
        for answer, found in zip(answers, given, strict=True)
    ]


def _by_probe(journal: Journal, kind: str) -> dict[str, dict[str, Any]]:
    return {entry["probe_id"]: entry for entry in journal.entries if entry["kind"] == kind}
