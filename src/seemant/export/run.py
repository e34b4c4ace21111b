"""The stage "export": a folder to take away; nothing in it is computed anew."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadConfig, BadFile
from seemant.core.measurement import Measurement, exact
from seemant.core.records import LANGUAGES, Lang
from seemant.core.stage import Input, Inputs, Stage
from seemant.export.config import ExportConfig

if TYPE_CHECKING:
    from seemant.formats.gguf_read import GgufFile

MODEL_NAME, ADAPTER_NAME, CARD_NAME, SERVE_NAME = (
    "model.gguf",
    "adapter.gguf",
    "README.md",
    "serve.txt",
)
PACKED_NAME = "compressed-tensors"


def run(config: ExportConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with the model, its card, its licence and the commands that run it.

    Raises:
        BadConfig: neither or both of a variant and a model were given, or an adapter that the
            variant already holds; or weights that a compressed-tensors folder cannot hold.
        BadFile: the adapter is another model's, there is no model file to take away, or its
            licence cannot travel.
    """
    from seemant.compress.reference.which import refuse_dithered
    from seemant.core.atomic import write_atomic
    from seemant.core.jsonl import read_json
    from seemant.export.bundle import SUMS_NAME, place, write_sums
    from seemant.export.card import CardFacts, card
    from seemant.export.chosen import chosen
    from seemant.export.commands import as_text, commands
    from seemant.export.evidence import evidence, machines, table
    from seemant.export.licence import known_model, licence_of
    from seemant.formats.gguf_read import open_gguf

    choice = chosen(inputs, config.device)
    inputs = choice.inputs
    given = _given(inputs)
    model = _model_file(given.path)
    file = open_gguf(model)
    refuse_dithered(file)
    metadata = file.metadata
    variant: dict[str, Any] = read_json(given.path / "variant.json") if "variant" in inputs else {}
    adapter = _adapter(inputs, given)
    if config.compressed_tensors:
        _check_packable(file, adapter)
    entry = known_model(variant.get("base", {}).get("sha256", given.sha256))
    licence = licence_of(entry, metadata)
    base = str(variant["base"]["label"] if variant else given.label)
    name = config.name or str(variant.get("subject") or metadata.get("general.name") or base)

    # The card and the sums come last: a folder that has them looks whole.
    if config.hf:
        from seemant.export.hf import write_hf

        write_hf(model, out / "hf", inputs["adapter"].path if adapter is not None else None)
    if config.compressed_tensors:
        from seemant.export.compressed_tensors import write_compressed_tensors

        write_compressed_tensors(model, out / PACKED_NAME)
    sums = {MODEL_NAME: place(model, out / MODEL_NAME, link=True)}
    if adapter is not None:
        sums[ADAPTER_NAME] = place(adapter, out / ADAPTER_NAME, link=True)
    for text in licence.files:
        sums[text.name] = place(text, out / text.name, link=False)
    prompts = _prompts(metadata, entry.languages if entry else LANGUAGES)
    example = next(iter(prompts.values()))
    lines = commands(name, metadata, prompt=example, adapter=adapter is not None)
    facts = CardFacts(
        name=name,
        notice=choice.notice,
        base=base,
        licence=licence.name,
        licence_link=licence.link,
        licence_files=tuple(file.name for file in licence.files),
        variant=variant,
        metadata=metadata,
        file_bytes=model.stat().st_size,
        sha256=sums[MODEL_NAME],
        adapter=adapter is not None,
        commands=lines,
        prompts=prompts,
        evidence=table(evidence(inputs), machines(inputs)),
    )
    write_atomic(out / CARD_NAME, card(facts))
    write_atomic(out / SERVE_NAME, as_text(lines))
    write_sums(out, sums)
    subject = config.subject or name
    shipped = [*sums, CARD_NAME, SERVE_NAME, SUMS_NAME]
    bundle_bytes = sum((out / file).stat().st_size for file in shipped)
    return [
        exact(subject, "file_bytes", facts.file_bytes, "bytes"),
        exact(subject, "bundle_bytes", bundle_bytes, "bytes"),
    ]


def _check_packable(file: "GgufFile", adapter: Path | None) -> None:
    """Refuse what no compressed-tensors folder can hold, before anything is written."""
    from seemant.export.compressed_tensors import packable

    if adapter is not None:
        raise BadConfig(
            "a compressed-tensors folder holds no adapter beside its integers",
            where="compressed_tensors",
            fix="compress with the adapter (it is merged before rounding), and export that variant",
        )
    if not packable(file):
        raise BadConfig(
            "nothing in this model's blocks is quantised, so there are no integers to pack",
            where=str(file.path),
            fix="leave --compressed-tensors out; --hf writes the weights as a plain folder (fp32)",
        )


def _given(inputs: Inputs) -> Input:
    found = [inputs[role] for role in ("variant", "model") if role in inputs]
    if len(found) != 1:
        raise BadConfig(
            f"export takes one variant or one model, {len(found)} were given",
            fix="name a compress artefact, or a model",
        )
    return found[0]


def _model_file(path: Path) -> Path:
    if path.is_file():
        return path
    if (path / MODEL_NAME).is_file():
        return path / MODEL_NAME
    if (path / "codes.safetensors").is_file():
        raise BadFile(
            "this variant has no model file: no runtime's layout holds its grid",
            where=str(path),
            fix="export another variant: 6 to 8 bits have files if symmetric, fewer bits always",
        )
    raise BadFile(f"no {MODEL_NAME} here", where=str(path), fix="name a .gguf file or a variant")


def _adapter(inputs: Inputs, given: Input) -> Path | None:
    if "adapter" not in inputs:
        return None
    from seemant.models.adapters import check_base

    path = inputs["adapter"].path
    check_base(path, given.path, given.sha256)
    file = path if path.is_file() else path / ADAPTER_NAME
    if not file.is_file():
        raise BadFile(f"no {ADAPTER_NAME} here", where=str(path), fix="name a train artefact")
    return file


def _prompts(metadata: dict[str, Any], languages: tuple[Lang, ...]) -> dict[Lang, str]:
    from seemant.models.prompts import template_of_metadata

    template = template_of_metadata(metadata)
    return {lang: template.render(_QUESTIONS[lang], lang) for lang in languages}


_QUESTIONS: dict[Lang, str] = {
    "hi": "भारत की राजधानी क्या है?",
    "kn": "ಭಾರತದ ರಾಜಧಾನಿ ಯಾವುದು?",
    "en": "What is the capital of India?",
}


STAGE = Stage(
    name="export",
    version=1,
    config=ExportConfig,
    run=run,
    roles={
        "variant": "variant?",
        "model": "model?",
        "adapter": "adapter?",
        "recommendation": "recommendation?",
        "variant/*": "variant",
        "model/*": "model",
        "adapter/*": "adapter",
        "probe/*": "probe",
        "divergence/*": "divergence",
        "bench/*": "bench",
    },
)
