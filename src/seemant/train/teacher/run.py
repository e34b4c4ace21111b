"""The targets stage: a teacher and pairs in, its token probabilities on every answer out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from seemant.core.jsonl import write_json, write_records
from seemant.core.machine import cores
from seemant.core.measurement import Measurement, exact
from seemant.core.progress import progress
from seemant.core.refs import short_name
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs, Stage
from seemant.train.teacher.config import TargetsConfig

if TYPE_CHECKING:
    from seemant.train.rows.check import Checked
    from seemant.train.rows.render import Form
    from seemant.train.teacher.shards import Said


def run(config: TargetsConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with shards of targets, `index.jsonl`, `teacher.json` and `set_aside.jsonl`.

    Raises:
        BadRecord: no pair is left to read.
        InputError: the teacher cannot be read, or has fewer tokens than k.
        WorldError: a full disk; the same call goes on.
    """
    from seemant.models.decoder.load import load_decoder
    from seemant.models.resolve import weights_in
    from seemant.train.compute import compute_here
    from seemant.train.determinism import deterministic
    from seemant.train.loss.stream import Reading
    from seemant.train.teacher.shards import store_all
    from seemant.train.teacher.stored import (
        INDEX_NAME,
        TEACHER_NAME,
        Teacher,
        places_of,
        tokenizer_hash,
    )

    config = config.model_copy(update={"compute": compute_here(config.compute)})
    model, threads = inputs["model"], config.threads or cores()
    form, checked = _rows(config, inputs, out)
    teacher = Teacher(
        model=model.label,
        sha256=model.sha256,
        template=form.template.hash,
        tokenizer=tokenizer_hash(form.tokenizer),
        n_vocab=form.n_vocab,
        k=config.k,
        temperature=config.temperature,
        study_prompt=config.study_prompt,
    )
    shards = [
        checked.rows[start : start + config.shard]
        for start in range(0, len(checked.rows), config.shard)
    ]
    del form  # with its tokenizer, before the weights come
    with deterministic(0, threads):
        decoder = load_decoder(
            weights_in(model.path),
            base=config.base,
            embedding=config.embedding,
            compute=config.compute,
            words=False,
        ).decoder
        how = Reading(
            config.vocab_block,
            softcap=decoder.shape.softcap,
            temperature=config.temperature,
            scratch=decoder.scratch,
        )
        began = time.perf_counter()
        with progress("targets", len(checked.rows), "pairs") as tick:
            said = store_all(decoder, shards, config.k, config.tokens, how, out, tick)
        seconds = time.perf_counter() - began
    write_records(
        out / INDEX_NAME,
        [place for number, rows in enumerate(shards, 1) for place in places_of(number, rows)],
    )
    write_json(out / TEACHER_NAME, teacher.model_dump())
    log_event(out, "targets", pairs=len(checked.rows), seconds=seconds)
    return _measurements(config, short_name(model.label), checked, said)


STAGE = Stage(
    name="targets",
    version=2,
    config=TargetsConfig,
    run=run,
    roles={"model": "model", "pairs": "pairs"},
)


def _rows(config: TargetsConfig, inputs: Inputs, out: Path) -> "tuple[Form, Checked]":
    from seemant.core.errors import BadConfig
    from seemant.corpus.pairs import read_pairs
    from seemant.models.resolve import languages_of
    from seemant.train.config import TrainConfig
    from seemant.train.rows.check import check
    from seemant.train.rows.dataset import pairs_file
    from seemant.train.rows.form import form_of

    how = TrainConfig(
        max_length=config.max_length, on_long=config.on_long, study_prompt=config.study_prompt
    )
    file = pairs_file(inputs["pairs"].path)
    pairs = read_pairs(file, rejected=out / "rejected.jsonl")  # before a model is opened
    form = form_of(inputs["model"].path, how)
    if config.k > form.n_vocab:
        raise BadConfig(
            f"k = {config.k}, but the teacher has {form.n_vocab} tokens", fix="lower --k"
        )
    languages = config.languages or languages_of(inputs["model"].label)
    checked = check(pairs, form, languages=languages, where=str(file))
    write_records(out / "set_aside.jsonl", checked.aside)
    return form, checked


def _measurements(
    config: TargetsConfig, model: str, checked: "Checked", said: "list[Said]"
) -> list[Measurement]:
    from seemant.core.measurement import of_interval
    from seemant.train.heldout import by_language, nats_per_token

    subject, rows = config.subject or model, checked.rows
    found = [
        exact(subject, "targets_pairs", len(rows), "count"),
        exact(subject, "targets_tokens", sum(row.n_answer for row in rows), "count"),
    ]
    found += [
        exact(subject, f"set_aside_{reason}", n, "count") for reason, n in checked.reasons().items()
    ]
    sums = {
        ("teacher_loss", "nats/token"): [each for part in said for each in part.nats],
        ("tail_mass", "share"): [each for part in said for each in part.tail],
    }
    given = {"k": config.k, "temperature": config.temperature}
    for (metric, unit), values in sums.items():
        for lang, chosen in by_language(rows).items():
            ratio = nats_per_token([values[i] for i in chosen], [rows[i] for i in chosen])
            found.append(of_interval(subject, metric, lang, ratio, given, unit))
    return found
