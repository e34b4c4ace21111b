"""What a finished run leaves: the student's files, and everything that was measured."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seemant.core.measurement import Measurement, exact
from seemant.core.refs import short_name
from seemant.core.stage import Inputs
from seemant.formats.gguf_read import open_gguf
from seemant.models.catalogue import MODEL_NAME
from seemant.models.prompts import Template
from seemant.models.resolve import weights_in
from seemant.models.weights_identity import weights_sha256
from seemant.train.config import TrainConfig
from seemant.train.fit import Fitted
from seemant.train.measure import Conditions, costs, heldout_loss, kl_to_base, train_loss
from seemant.train.opened import Opened, hf_config_of
from seemant.train.rows.dataset import Data
from seemant.train.rows.form import form_of
from seemant.train.rows.render import PAIRS, SystemPrompt
from seemant.train.save import (
    MODEL_FOLDER,
    STUDENT_NAME,
    How,
    save_adapter,
    save_gguf,
    save_model,
    save_student,
)

TRAINED_NAME = "trained.json"
_NOT_EXACT = "resumed elsewhere or under another plan: each step had the same rows, bits may differ"
_NOT_EXACT_PACKED = (
    "resumed elsewhere or under another plan: with other bins the epoch of the resumption may have "
    "repeated rows or left some out; settings, step count and later epochs are as they were"
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is over, with everything that was part of it."""

    config: TrainConfig
    inputs: Inputs
    out: Path
    opened: Opened
    template: Template
    system: SystemPrompt | None
    data: Data
    fitted: Fitted
    threads: int
    kd_covered: float | None = None

    @property
    def subject(self) -> str:
        """What tables call the student."""
        name = short_name(self.inputs["model"].label)
        return self.config.subject or f"{name}+{self.config.method}"


def save_results(run: Run) -> list[str]:
    """Write the student's files; return the notes on the run, which are in `student.json` too."""
    config, base, opened, system = run.config, run.inputs["model"], run.opened, run.system
    notes = list(run.data.notes)
    if opened.random:
        notes.append("the base's weights are random: nothing is said about quality")
    if run.fitted.progress.ended:
        notes.append(f"ended after step {run.fitted.progress.step}: {run.fitted.progress.ended}")
    if not run.fitted.progress.bit_exact:
        notes.append(_NOT_EXACT_PACKED if config.pack else _NOT_EXACT)
    if run.fitted.adapters:
        how = How(
            method=config.method,
            alpha=config.alpha,
            dropout=config.dropout,
            average=config.average,
        )
        notes += save_adapter(
            run.out,
            run.fitted.adapters,
            how=how,
            label=base.label,
            base=opened.weights,
            tied=opened.decoder.shape.tied,
        )
    else:
        _save_whole(run)
    more: dict[str, Any] = {
        "base_weights_sha256": weights_sha256(weights_in(base.path)),
        "method": config.method,
        "base_kind": config.base,
        "embedding_kind": config.embedding,
        "compute": config.compute,
        "system_prompt": None if system is None else "study",
        "system_folded": None if system is None else system.folded,
        "notes": notes,
    }
    save_student(
        run.out,
        subject=run.subject,
        label=base.label,
        base_sha256=base.sha256,
        template=run.template,
        languages=run.data.languages,
        more=more,
        # A model that stands for itself is no adapter's student: other rooms open it as a model.
        name=STUDENT_NAME if run.fitted.adapters else TRAINED_NAME,
    )
    return notes


def _save_whole(run: Run) -> None:
    weights = {name: each.detach() for name, each in run.fitted.parameters.items()}
    opened = run.opened
    form = form_of(run.inputs["model"].path, run.config)  # it was dropped before the weights came
    save_model(
        run.out / MODEL_FOLDER,
        weights,
        hf_config_of(opened.weights),
        form.tokenizer,
        run.template,
        form.stops,
    )
    if opened.weights.suffix == ".gguf":
        save_gguf(run.out / MODEL_NAME, weights, open_gguf(opened.weights), run.template)


def measurements(run: Run) -> list[Measurement]:
    """Return everything that was measured."""
    subject, progress = run.subject, run.fitted.progress
    given = conditions(run)
    n = sum(each.numel() for each in run.fitted.parameters.values())
    return [
        *train_loss(subject, progress.history, given),
        *heldout_loss(subject, run.data.heldout, progress, given),
        *kl_to_base(subject, run.data.heldout, run.fitted.kl, given),
        exact(subject, "trainable_parameters", n, "count"),
        exact(subject, "steps", progress.step, "count"),
        *_counts(run),
        *costs(subject, run.out, given | {"threads": run.threads}),
    ]


def conditions(run: Run) -> dict[str, str | int | float | bool | None]:
    """Return what the numbers depend on, said only where it is not as usual."""
    config = run.config
    given: dict[str, str | int | float | bool | None] = {"compute": config.compute}
    for name in _TOLD:
        if (own := getattr(config, name)) != TrainConfig.model_fields[name].default:
            given[name] = own
    if run.opened.random:
        given["weights"] = "random"
    # Said only where it matters: a run resumed elsewhere may differ in its last bits.
    return given if run.fitted.progress.bit_exact else given | {"bit_exact": False}


_TOLD = (
    "method",
    "base",
    "embedding",
    "keep",
    "average",
    "ema",
    "replay",
    "kl_base",
    "kd_weight",
    "label_smoothing",
    "z_loss",
)


def _counts(run: Run) -> list[Measurement]:
    subject, data = run.subject, run.data
    whole = {
        "pairs_cut": data.checked.n_cut,
        "pairs_retokenised": data.checked.n_retokenised,
        **({"replay_dropped": data.replay_dropped} if run.config.replay else {}),
        **{f"set_aside_{reason}": n for reason, n in data.checked.reasons().items()},
    }
    counts = [exact(subject, name, n, "count") for name, n in whole.items()]
    if run.kd_covered is not None:
        counts.append(exact(subject, "kd_covered", run.kd_covered, "share"))
    for name, part in (("pairs_trained", data.rows), ("pairs_heldout", data.heldout)):
        for (bucket, lang), n in sorted(Counter((r.bucket, r.lang) for r in part).items()):
            more: Conditions = {} if bucket == PAIRS else {"bucket": bucket}
            counts.append(exact(subject, name, n, "count", lang=lang, conditions=dict(more)))
    for lang, each in data.spelling.items():
        counts += [
            exact(subject, "answer_tokens_a_word", each.tokens_a_word, "tokens", lang=lang),
            exact(subject, "answer_byte_share", each.byte_share, "share", lang=lang),
        ]
    return counts
