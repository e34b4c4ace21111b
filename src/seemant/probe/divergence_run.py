"""The divergence stage: a variant against its reference, in torch and as it is deployed.

    seemant divergence embedded:gemma-3-270m runs/corpus/0123 --variant runs/compress/4567

The reference is base + adapter, merged in float32, in torch. An adapter `beside` the variant was
not merged into it and runs as a LoRA on top, as llama.cpp loads it. "weights" is the variant's
values in torch: what rounding them costs. "deployed" is the variant's file in llama.cpp: that and
what the runtime's own rounding of activations costs. "runtime" is the difference, chunk by chunk.

Both models' matrices stay in their files and are read where they are used (`streamed.py`), and the
vocabulary is gone through in slices (`vocabulary.py`): neither a model nor a row of its logits is
ever whole in memory. Only llama.cpp's logits are, of a group of passages at a time.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from seemant.core.errors import BadFile, InputError
from seemant.core.journal import Journal
from seemant.core.jsonl import write_records
from seemant.core.measurement import Measurement
from seemant.core.progress import progress
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs, Stage
from seemant.probe.compare import DEPLOYED, WEIGHTS, collected, compared, groups_of, states_of
from seemant.probe.divergence_config import DivergenceConfig
from seemant.probe.divergence_measures import measure_divergence
from seemant.probe.passages import Passage, choose_passages, load_paragraphs
from seemant.probe.subject import MODEL_NAME, made_from_another, model_file, subject_of

if TYPE_CHECKING:
    from seemant.models.backends.protocol import Backend
    from seemant.models.decoder.weights import Weights
    from seemant.models.tokenizer import Tokenizer

JOURNAL = ".journal.jsonl"
CHUNKS = "chunks.jsonl"
CODES_NAME = "codes.safetensors"
CONTEXT = 512  # a passage has 257 tokens at most


def run(config: DivergenceConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with one line a paragraph and route; return the measurements.

    Raises:
        InputError: no route is left to compare, or the model's tokenizer has no such text.
        BadFile: an input is damaged, or the variant's vocabulary is not the model's.
        BadRecord: an input is damaged.
    """
    import torch

    torch.set_num_threads(config.threads)
    variant = inputs.get("variant")
    if variant is None and "beside" in inputs:
        raise InputError(
            "an adapter beside a variant, and no variant",
            where="beside",
            fix="name the variant too, or give the adapter as `adapter`",
        )
    routes = _routes(config, variant.path if variant else None)
    paragraphs = load_paragraphs(inputs["paragraphs"].path, out / "rejected.jsonl")
    passages = choose_passages(
        paragraphs,
        _tokenizer(inputs),
        config.languages,
        per_language=config.tokens_per_language,
        per_paragraph=config.tokens_per_paragraph,
    )
    with Journal(out / JOURNAL) as journal:
        done = {(e["lang"], e["paragraph_id"]) for e in journal.entries}
        to_do = sum((p.lang, p.paragraph_id) not in done for p in passages)
        log_event(out, "comparing", to_do=to_do, done=len(done), routes=list(routes))
        if to_do:
            _compare(config, inputs, routes, passages, journal)
        chunks, tokens = collected(passages, routes, journal.entries)
    write_records(out / CHUNKS, chunks)
    merged = None if "beside" in inputs else inputs.get("adapter")
    subject = config.subject or subject_of(inputs["model"], merged, variant)
    if "beside" in inputs and not config.subject:
        subject += "+lora"
    other = made_from_another(inputs["model"], merged, variant)
    return measure_divergence(chunks, tokens, subject=subject, seed=config.seed, made_from=other)


def _compare(
    config: DivergenceConfig,
    inputs: Inputs,
    routes: tuple[str, ...],
    passages: list[Passage],
    journal: Journal,
) -> None:
    done = {(e["lang"], e["paragraph_id"]) for e in journal.entries}
    base = _reference(inputs)
    variant = _candidate(inputs) if "variant" in inputs else None
    if variant is not None:
        _check_vocabulary(base, variant, inputs["variant"].path)
    reference = states_of(base, passages)
    weights = states_of(variant, passages) if variant and WEIGHTS in routes else None
    with (
        _maybe_deployed(config, inputs, routes) as backend,
        progress("divergence", len(passages) - len(done), "paragraphs") as tick,
    ):
        for group in groups_of(passages, reference.head.n_vocab):
            keys = [(passages[index].lang, passages[index].paragraph_id) for index in group]
            if done.issuperset(keys):
                continue  # a group cut short is compared whole, so that its figures come again
            found = compared(passages, group, reference, weights, backend)
            for key, entry in zip(keys, found, strict=True):
                if key not in done:
                    journal.append(entry)
                    tick(note=entry["lang"])


def _routes(config: DivergenceConfig, variant: Path | None) -> tuple[str, ...]:
    """Return the routes that can be compared: a torch-only variant has no deployed one."""
    deployable = variant is None or (variant / MODEL_NAME).is_file()
    routes = []
    if config.weights and variant is not None:
        routes.append(WEIGHTS)
    if config.deployed and deployable:
        routes.append(DEPLOYED)
    if not routes:
        raise InputError(
            "nothing to compare: this variant has no model.gguf, or both routes are turned off",
            where=str(variant) if variant else None,
            fix="leave weights and deployed on, and name a compress artefact as variant",
        )
    return tuple(routes)


def _tokenizer(inputs: Inputs) -> "Tokenizer":
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.resolve import weights_in
    from seemant.models.tokenizer import tokenizer_of_folder, tokenizer_of_metadata

    place = weights_in(model_file(inputs["model"]))
    if place.is_dir():
        return tokenizer_of_folder(place)
    return tokenizer_of_metadata(open_gguf(place).metadata, str(place))


def _reference(inputs: Inputs) -> "Weights":
    from seemant.models.adapters import check_base
    from seemant.probe.changed_weights import with_adapter
    from seemant.probe.streamed import file_weights

    model, adapter = inputs["model"], inputs.get("adapter")
    if adapter:
        check_base(adapter.path, model.path, model.sha256)
    weights = file_weights(model_file(model))
    return with_adapter(weights, adapter.path) if adapter else weights


def _candidate(inputs: Inputs) -> "Weights":
    from seemant.formats.codes import load_codes
    from seemant.models.adapters import check_base
    from seemant.probe.changed_weights import with_adapter, with_values
    from seemant.probe.streamed import file_weights

    variant, beside = inputs["variant"], inputs.get("beside")
    codes = variant.path / CODES_NAME
    if (variant.path / MODEL_NAME).is_file():
        weights = file_weights(variant.path / MODEL_NAME)
    else:
        base = file_weights(model_file(inputs["model"]))
        weights = with_values(base, load_codes(codes), str(codes))
    if not beside:
        return weights
    check_base(beside.path, variant.path, variant.sha256)
    return with_adapter(weights, beside.path)


def _check_vocabulary(base: "Weights", variant: "Weights", where: Path) -> None:
    """Check that both say the probabilities of the same tokens.

    Raises:
        BadFile: they do not.
    """
    ours, theirs = base.shape.vocab, variant.shape.vocab
    if ours != theirs:
        raise BadFile(
            f"the variant has {theirs} tokens and the model {ours}: their probabilities cannot be "
            "compared",
            where=str(where),
            fix="name the model that it was made from; of a trimmed vocabulary, measure the "
            "variant that was trimmed",
        )


def _maybe_deployed(
    config: DivergenceConfig, inputs: Inputs, routes: tuple[str, ...]
) -> "AbstractContextManager[Backend | None]":
    """Return a context that gives the engine of the deployed route, or None without one."""
    from seemant.models.backends.open import open_backend

    if DEPLOYED not in routes:
        return nullcontext(None)
    variant = inputs.get("variant")
    adapter = inputs.get("adapter" if variant is None else "beside")
    return open_backend(
        model_file(inputs["model"]) if variant is None else variant.path / MODEL_NAME,
        adapter=adapter.path if adapter else None,
        threads=config.threads,
        context=CONTEXT,
        strict=True,
    )


STAGE = Stage(
    name="divergence",
    version=4,
    config=DivergenceConfig,
    run=run,
    roles={
        "model": "model",
        "adapter": "adapter?",
        "variant": "variant?",
        "beside": "adapter?",
        "paragraphs": "paragraphs",
    },
)
