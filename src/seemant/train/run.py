"""The train stage: a base model and instruction pairs in, an adapter out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_records, write_records
from seemant.core.machine import cores
from seemant.core.measurement import Measurement, exact
from seemant.core.records import LANGUAGES, Pair
from seemant.core.refs import short_name
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs, Stage
from seemant.train.check import Checked, check
from seemant.train.config import TrainConfig
from seemant.train.render import Row
from seemant.train.split import hold_out

PAIRS_NAME = "pairs.jsonl"


def run(config: TrainConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fine-tune, and fill `out` with the adapter in both formats, the losses and `student.json`.

    Raises:
        BadRecord: no pair is left to train on.
        InputError: the model's template, tokenizer or head cannot be trained on.
        WorldError: a full disk, or a loss that is not finite; the same call goes on.
    """
    from seemant.models.load import load_torch
    from seemant.models.resolve import languages_of, weights_in
    from seemant.train.determinism import deterministic
    from seemant.train.fit import fit
    from seemant.train.measure import costs, heldout_loss, train_loss
    from seemant.train.save import save_adapter, save_student

    base, threads = inputs["model"], config.threads or cores()
    weights = weights_in(base.path)
    subject = config.subject or f"{short_name(base.label)}+lora"
    pairs_file = _pairs_file(inputs["pairs"].path)
    pairs = read_records(pairs_file, Pair, rejected=out / "rejected.jsonl")
    with deterministic(config.seed, threads):
        loaded = load_torch(weights, dtype=config.compute)
        checked = check(
            pairs,
            loaded.template,
            loaded.tokenizer,
            n_vocab=loaded.model.config.vocab_size,
            max_length=config.max_length,
            languages=config.languages or languages_of(base.label),
            on_long=config.on_long,
            where=str(pairs_file),
        )
        rows, heldout = hold_out(checked.rows, config.heldout_share, config.seed)
        log_event(out, "checked", rows=len(rows), heldout=len(heldout), aside=checked.reasons())
        write_records(out / "set_aside.jsonl", checked.aside)
        belongs = {
            "config": json_sha256(config.model_dump(mode="json", exclude={"threads"})),
            "model": base.sha256,
            "pairs": json_sha256([[row.ids, row.n_prompt] for row in checked.rows]),
        }
        fitted = fit(loaded.model, rows, heldout, config, out, belongs=belongs)
        save_adapter(out, fitted.adapters, alpha=config.alpha, label=base.label, base=weights)
    save_student(
        out,
        subject=subject,
        label=base.label,
        base_sha256=base.sha256,
        template=loaded.template,
        languages=[lang for lang in LANGUAGES if any(row.lang == lang for row in rows)],
    )
    # Said only where it matters: a run resumed elsewhere may differ in its last bits.
    given = {"compute": config.compute} | (
        {} if fitted.progress.bit_exact else {"bit_exact": False}
    )
    return [
        *train_loss(subject, fitted.progress.history, given),
        *heldout_loss(subject, heldout, fitted.progress, given),
        exact(subject, "trainable_parameters", fitted.n_parameters, "count"),
        *_counts(subject, checked, rows, heldout),
        *costs(subject, out, given | {"threads": threads}),
    ]


STAGE = Stage(
    name="train",
    version=1,
    config=TrainConfig,
    run=run,
    roles={"model": "model", "pairs": "pairs"},
)


def _pairs_file(path: Path) -> Path:
    return path / PAIRS_NAME if path.is_dir() else path


def _counts(
    subject: str, checked: Checked, rows: Sequence[Row], heldout: Sequence[Row]
) -> list[Measurement]:
    whole = {
        "pairs_cut": checked.n_cut,
        "pairs_retokenised": checked.n_retokenised,
        **{f"set_aside_{reason}": n for reason, n in checked.reasons().items()},
    }
    counts = [exact(subject, name, n, "count") for name, n in whole.items()]
    for name, part in (("pairs_trained", rows), ("pairs_heldout", heldout)):
        for lang, n in sorted(Counter(row.lang for row in part).items()):
            counts.append(exact(subject, name, n, "count", lang=lang))
    return counts
