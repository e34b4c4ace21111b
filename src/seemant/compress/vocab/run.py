"""The stage "trim": a model with only the rows of its vocabulary that a text needs."""

from pathlib import Path

from seemant.compress.vocab.config import TrimConfig
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage

MODEL_NAME, REPORT_NAME, REJECTED_NAME = "model.gguf", "trim.json", "rejected.jsonl"


def run(config: TrimConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with model.gguf (kept rows bit for bit) and trim.json; return size and cost.

    Raises:
        BadFile: not a GGUF file of a whole model, weights that are not finite, text in no known
            script, or too little of it.
        BadRecord: no valid line of paragraphs.
        DiskFull: no space; nothing half-written is left.
    """
    from seemant.compress.sound import check_sound
    from seemant.compress.source import gguf_of
    from seemant.compress.vocab.cost import chosen, nats, tokens_outside
    from seemant.compress.vocab.keep import kept_tokens
    from seemant.compress.vocab.texts import measurable, parts_of
    from seemant.compress.vocab.trim import trimmed
    from seemant.core.jsonl import write_json
    from seemant.core.progress import progress
    from seemant.core.refs import short_name
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.tokenizer import tokenizer_of_metadata

    model, text = inputs["model"], inputs["paragraphs"]
    file = open_gguf(gguf_of(model.path, "trim"))
    check_sound(file)
    before = tokenizer_of_metadata(file.metadata, str(file.path))
    parts = parts_of(text.path, rejected=out / REJECTED_NAME)
    languages = measurable(parts, before, config.languages, str(text.path))
    choosing = [each for group in parts.choosing.paragraphs.values() for each in group]
    kept = kept_tokens(
        file.metadata, before, choosing, at_least=config.at_least, always=config.keep
    )
    written = out / MODEL_NAME
    size = trimmed(file, kept.ids, written)
    after = tokenizer_of_metadata(open_gguf(written).metadata)

    subject = config.subject or f"{short_name(model.label)}+trimmed"
    held_out = {lang: parts.held_out.paragraphs[lang] for lang in languages}
    measured = [
        exact(subject, "file_bytes", size, "bytes"),
        exact(subject, "rows_kept", kept.n, "rows"),
        exact(subject, "bytes_saved", file.path.stat().st_size - size, "bytes"),
        *tokens_outside(subject, before, held_out, kept.ids, config.seed),
    ]
    if config.scored:
        scored = chosen(held_out, languages, config.scored, config.seed)
        models = {"before": (file.path, before), "after": (written, after)}
        with progress("nats a byte", 2 * len(scored), "languages") as tick:
            measured += nats(subject, models, scored, config.seed, lambda part: tick(1, part))
    write_json(
        out / REPORT_NAME,
        {
            "schema_version": 1,
            "base": {"label": model.label, "sha256": model.sha256},
            "text": {"label": text.label, "sha256": text.sha256},
            "rows_before": before.n_tokens,
            "rows_kept": kept.n,
            "rows_kept_by_reason": dict(kept.reasons),
            "bytes_before": file.path.stat().st_size,
            "bytes_after": size,
            "languages": list(languages),
            "too_short_to_measure": [
                lang for lang in parts.choosing.languages if lang not in languages
            ],
            "cost": [m.model_dump(mode="json") for m in measured if m.lang],
        },
    )
    return measured


STAGE = Stage(
    name="trim",
    version=2,
    config=TrimConfig,
    run=run,
    roles={"model": "model", "paragraphs": "paragraphs"},
)
