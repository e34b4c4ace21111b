"""The probe stage: ask, score, diagnose, measure.

seemant probe embedded:gemma-3-270m --languages hi kn en
"""

from contextlib import AbstractContextManager
from pathlib import Path

from seemant.core.errors import BadConfig
from seemant.core.journal import Journal
from seemant.core.jsonl import write_records
from seemant.core.measurement import Measurement
from seemant.core.progress import progress
from seemant.core.records import Probe, Transcript
from seemant.core.runlog import log_event
from seemant.core.stage import Input, Inputs, Stage
from seemant.models.backends.protocol import SEATS, Backend
from seemant.models.prompts import Template
from seemant.probe.ask import ANSWER, STUDY, ask, items, likelihoods, open_items, transcripts
from seemant.probe.config import ProbeConfig
from seemant.probe.likelihood import AnswerNats
from seemant.probe.measures import Conditions, measure
from seemant.probe.score import load_before, score_all
from seemant.probe.subject import VARIANT_NAME, model_file, subject_of
from seemant.probe.suites import choose, load_suite, study_queries

JOURNAL = ".journal.jsonl"
TRANSCRIPTS, SCORES = "transcripts.jsonl", "scores.jsonl"
STUDY_TRANSCRIPTS, STUDY_SCORES = "study_transcripts.jsonl", "study_scores.jsonl"


def run(config: ProbeConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with transcripts and scores; return the measurements, a language at a time.

    Raises:
        BadConfig: neither generation nor likelihood is asked for, or no probe is left.
        BadFile, InputError: a model, an adapter, a suite or an earlier probe cannot be used.
    """
    model, adapter, earlier = inputs["model"], inputs.get("adapter"), inputs.get("before")
    suite = load_suite(
        inputs["suite"].path if "suite" in inputs else None, rejected=out / "rejected.jsonl"
    )
    probes = choose(suite, config.languages, config.families)
    if suite and not probes:
        there = ", ".join(dict.fromkeys(probe.lang for probe in suite))
        raise BadConfig(
            f"no question in {', '.join(config.languages)}: the suite's are in {there}",
            fix=f"--languages {there.replace(',', '')}",
        )
    if not probes or not (config.generate or config.likelihood or config.study_preset):
        raise BadConfig(
            "nothing to ask", fix="name a language of the suite, and turn generate or likelihood on"
        )
    study = study_queries(suite, config.languages) if config.study_preset else []
    subject = config.subject or subject_of(model, adapter)
    untuned = adapter is None and not (model.path / VARIANT_NAME).is_file()
    answers, studied, known, engine = _ask(config, (model, adapter), subject, probes, study, out)
    conditions: Conditions = {
        "backend": engine,
        "max_new_tokens": config.max_new_tokens,
        "before": earlier.label if earlier else ("itself" if untuned else None),
    }
    before = load_before(earlier.path) if earlier else None
    scores = score_all(
        probes,
        {t.probe_id: t.output for t in answers},
        known,
        before=before.replies if before else None,
        untuned=untuned,
    )
    write_records(out / TRANSCRIPTS, answers)
    write_records(out / SCORES, scores)
    if study:
        then = load_before(earlier.path, STUDY_TRANSCRIPTS).replies if earlier else None
        said = {t.probe_id: t.output for t in studied}
        write_records(out / STUDY_TRANSCRIPTS, studied)
        write_records(out / STUDY_SCORES, score_all(study, said, {}, before=then, untuned=untuned))
    return measure(
        scores,
        before.scores if before else None,
        subject=subject,
        languages=config.languages,
        conditions=conditions,
        seed=config.seed,
    )


def open_engine(
    config: ProbeConfig, model: Input, adapter: Input | None
) -> tuple[AbstractContextManager[Backend], Template]:
    """Return the engine, to be entered, and the template of a model with its adapter."""
    from seemant.models.adapters import check_base
    from seemant.models.backends.open import open_backend
    from seemant.models.prompts import template_of

    path = model_file(model)
    if adapter:
        check_base(adapter.path, model.path, model.sha256)
    backend = open_backend(
        path,
        kind=config.backend,
        adapter=adapter.path if adapter else None,
        threads=config.threads,
        context=config.context,
        seats=SEATS,
        strict=True,
    )
    return backend, template_of(path, config.template)


def _ask(
    config: ProbeConfig,
    model: tuple[Input, Input | None],
    subject: str,
    probes: list[Probe],
    study: list[Probe],
    out: Path,
) -> tuple[list[Transcript], list[Transcript], dict[str, list[AnswerNats]], str]:
    context, template = open_engine(config, *model)
    every = items(config, probes, study, template)
    with Journal(out / JOURNAL) as journal, context as backend:
        todo = open_items(every, journal)
        log_event(out, "asking", to_do=len(todo), done=len(journal.entries))
        with progress(f"probe {subject}", len(todo), "questions") as tick:
            ask(todo, backend, journal, tick)
        engine = (backend.name, template)
        asked = probes if config.generate else []
        answers = transcripts(ANSWER, asked, config, subject, engine, journal)
        studied = transcripts(STUDY, study, config, subject, engine, journal)
        known = likelihoods(probes, journal) if config.likelihood else {}
    return answers, studied, known, backend.name


STAGE = Stage(
    name="probe",
    version=5,
    config=ProbeConfig,
    run=run,
    roles={"model": "model", "adapter": "adapter?", "before": "probe?", "suite": "probes?"},
    data=("probe/data/families.jsonl", "probe/data/words.toml", "corpus/data/*.jsonl"),
)
