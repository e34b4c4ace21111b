"""The qat stage: a model, its reference beside it, and text in; a trained variant's file out."""

import gc
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.compress.config import CompressConfig
from seemant.compress.qat.config import QatConfig
from seemant.core.errors import BadFile
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage

if TYPE_CHECKING:
    from seemant.compress.qat.loop import Plan
    from seemant.compress.qat.start import Start
    from seemant.compress.qat.student import Student
    from seemant.compress.qat.teacher import Teacher
    from seemant.compress.qat.text import Sequences
    from seemant.compress.qat.written import Settings
    from seemant.compress.source import Source

LOSSES_NAME = "losses.jsonl"


def run(config: QatConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf, variant.json and losses.jsonl; return the measures.

    Raises:
        BadFile: an input is damaged, or the variant is of another model or adapter.
        BadConfig, BadRecord: a grid that no file holds; a language without enough text.
        WorldError: a full disk, or a loss that is not finite; the same call goes on.
    """
    from seemant.compress.qat.student import build_student
    from seemant.compress.qat.written import trained_measures, write_trained
    from seemant.compress.sound import check_sound
    from seemant.compress.source import gguf_of, open_source
    from seemant.core.machine import cores
    from seemant.core.runlog import log_event
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import check_base
    from seemant.train.compute import compute_here
    from seemant.train.determinism import deterministic

    computes = {
        name: compute_here(getattr(config, name)) for name in ("compute", "teacher_compute")
    }
    config = config.model_copy(update=computes)
    model, adapter = inputs["model"], inputs.get("adapter")
    if adapter:
        check_base(adapter.path, model.path, model.sha256)
    source = open_source(open_gguf(gguf_of(model.path, "qat")), adapter.path if adapter else None)
    check_sound(source.file, source.merged)
    start, settings = _start(config, inputs, source)
    with deterministic(config.seed, config.threads or cores()):
        text = _text(config, inputs, source, out)
        teacher = _teacher(config, inputs, source, text, out)
        gc.collect()  # the teacher's body goes before the student's moments come
        student = build_student(
            start,
            source,
            config.mode,
            rank=config.rank,
            alpha=config.alpha,
            slack=config.slack,
            base=config.base,
            compute=config.compute,
            seed=config.seed,
        )
        student.decoder.checkpointing = config.checkpointing
        plan = _plan(config)
        before = _looked(student, teacher, text, plan)
        _train(student, teacher, text, plan, inputs, out)
        after = _looked(student, teacher, text, plan)
    log_event(out, "trained", before=before, after=after)
    variant = write_trained(config, settings, inputs, source, start, student, out)
    for folder in (".teacher", ".checkpoints"):
        shutil.rmtree(out / folder, ignore_errors=True)
    return trained_measures(variant, before, after, config)


STAGE = Stage(
    name="qat",
    version=4,
    config=QatConfig,
    run=run,
    roles={
        "model": "model",
        "adapter": "adapter?",
        "variant": "variant?",
        "paragraphs": "paragraphs",
    },
)


def _start(config: QatConfig, inputs: Inputs, source: "Source") -> "tuple[Start, Settings]":
    """Return what training starts from, and the settings that describe its grids."""
    from seemant.compress.describe import MIXED
    from seemant.compress.plan import EMBEDDING
    from seemant.compress.qat.start import VARIANT_NAME, nearest_start, variant_start
    from seemant.compress.qat.written import Settings
    from seemant.core.jsonl import read_json

    tail = "-qat" if config.mode == "full" else f"-qat-{config.mode}"
    named = {"subject": config.subject, "trained": config.mode}
    variant = inputs.get("variant")
    if variant is None:
        keys = ("bits", "group", "symmetric", "embedding_bits")
        grids = {key: getattr(config, key) for key in keys}
        plain = CompressConfig.model_validate(grids).variant_name
        told = {**grids, **named, "fit": config.fit, "name": config.name or plain + tail}
        settings = Settings.model_validate(told)
        return nearest_start(source, settings), settings
    told = read_json(variant.path / VARIANT_NAME)
    _check_same(inputs, told, variant.path)
    settings = Settings.model_validate(
        {
            **named,
            # "mixed" is no format: then every matrix has its own in `formats`
            "format": "" if told["format"] == MIXED else told["format"],
            "formats": told["formats"],
            "embedding_format": told["tensors"][EMBEDDING]["format"],
            "embedding_method": told["embedding_method"],
            "name": config.name or told["name"] + tail,
        }
    )
    return variant_start(variant.path, told, source), settings


def _check_same(inputs: Inputs, told: dict[str, Any], where: Path) -> None:
    """Check that the variant is one of this reference.

    Raises:
        BadFile: another model, or another adapter.
    """
    adapter = inputs.get("adapter")
    theirs = told["adapter"]["sha256"] if told["adapter"] else None
    if told["base"]["sha256"] != inputs["model"].sha256:
        what = f"the variant was made from another model ({told['base']['label']})"
    elif theirs != (adapter.sha256 if adapter else None):
        what = "the variant was made with another adapter, or without one"
    else:
        return
    raise BadFile(what, where=str(where), fix="give the model and the adapter it was made from")


def _text(config: QatConfig, inputs: Inputs, source: "Source", out: Path) -> "Sequences":
    from seemant.compress.qat.text import training_text
    from seemant.models.tokenizer import tokenizer_of_metadata

    return training_text(
        inputs["paragraphs"].path,
        tokenizer_of_metadata(source.file.metadata, str(source.file.path)),
        languages=config.languages,
        length=config.length,
        tokens=config.tokens,
        n_heldout=config.heldout,
        seed=config.seed,
        rejected=out / "rejected.jsonl",
    )


def _teacher(
    config: QatConfig, inputs: Inputs, source: "Source", text: "Sequences", out: Path
) -> "Teacher":
    from seemant.compress.qat.student import reference_weights
    from seemant.compress.qat.teacher import teacher_of
    from seemant.core.progress import progress
    from seemant.models.decoder.load import frozen_decoder

    every = [*text.train, *(ids for rows in text.heldout.values() for ids in rows)]
    given = (inputs[role].sha256 for role in ("model", "adapter") if role in inputs)
    weights = reference_weights(source.file, source)
    decoder = frozen_decoder(weights, "float", "float", config.teacher_compute)
    with progress("teacher", len(set(every)), "sequences") as tick:
        return teacher_of(decoder, every, out, [*given, config.teacher_compute], tick)


def _plan(config: QatConfig) -> "Plan":
    from seemant.compress.qat.loop import Plan
    from seemant.compress.qat.student import Rates

    return Plan(
        steps=config.steps,
        batch=config.batch,
        micro=config.micro,
        rates=Rates(
            scale=config.lr_scale,
            weight=config.lr_weight,
            lora=config.lr_lora,
            norm=config.lr_norm,
        ),
        share=config.head_share,
        ce=config.ce,
        schedule=config.schedule,
        warmup=round(config.warmup * config.steps),
        clip=config.clip,
        freeze=config.freeze,
        vocab_block=config.vocab_block,
        save_every=config.save_every,
        seed=config.seed,
    )


def _train(
    student: "Student",
    teacher: "Teacher",
    text: "Sequences",
    plan: "Plan",
    inputs: Inputs,
    out: Path,
) -> None:
    from dataclasses import asdict

    from seemant.compress.qat.loop import train
    from seemant.core.atomic import write_atomic
    from seemant.core.hashing import canonical_json
    from seemant.core.progress import progress

    belongs = {role: given.sha256 for role, given in inputs.items()}
    with progress("qat", plan.steps, "steps") as tick:
        lines = train(student, teacher, text.train, plan, out, belongs, tick)
    rows = "".join(canonical_json(asdict(line)) + "\n" for line in lines)
    write_atomic(out / LOSSES_NAME, rows)


def _looked(
    student: "Student", teacher: "Teacher", text: "Sequences", plan: "Plan"
) -> dict[str, float]:
    """Return the mean KL on each language's held-out sequences, nats a position."""
    from seemant.compress.qat.loop import divergence

    found, at = {}, len(text.train)
    for lang, rows in text.heldout.items():
        each = divergence(student, teacher, rows, plan, at=at)
        found[str(lang)] = sum(each) / len(each)
        at += len(rows)
    return found
