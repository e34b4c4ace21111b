"""The commands that run one stage each: from flags to `run_stage`, nothing else."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seemant.bench.config import BenchConfig
from seemant.cli.options import DEFAULT, Options, run_stage
from seemant.compress.run import VARIANT_NAME
from seemant.core.refs import parse_ref
from seemant.distill.config import DistillConfig
from seemant.export.config import ExportConfig
from seemant.probe.config import ProbeConfig
from seemant.probe.divergence_config import DivergenceConfig

Flat = Parameter(name="*")


def distill(
    paragraphs: str,
    *,
    config: Annotated[DistillConfig, Flat] = DistillConfig(),
    run: Options = DEFAULT,
) -> None:
    """Make instruction pairs from paragraphs; what is done survives anything, resume by the same.

    Example: seemant distill runs/corpus/0123456789ab --teacher embedded:gemma-3-270m

    Example: seemant distill text.jsonl --teacher openai:http://127.0.0.1:8000/v1#qwen

    Parameters
    ----------
    paragraphs
        A corpus artefact's folder, or a .jsonl file of paragraphs.
    """
    remote = parse_ref(config.teacher).scheme == "openai"
    teacher = None if remote else config.teacher
    run_stage("distill", config, {"paragraphs": paragraphs, "teacher": teacher}, run)


def probe(
    model: str,
    *,
    adapter: str | None = None,
    before: str | None = None,
    suite: str | None = None,
    config: Annotated[ProbeConfig, Flat] = ProbeConfig(),
    run: Options = DEFAULT,
) -> None:
    """Ask a model the probe families and score what it answers and what it knows.

    Example: seemant probe embedded:gemma-3-270m --languages hi kn

    Example: seemant probe embedded:gemma-3-270m --suite my-questions.csv

    Parameters
    ----------
    model
        A model reference.
    adapter
        A train artefact's folder: probe the tuned student.
    before
        The probe artefact of the same model before tuning; without it nothing is diagnosed.
    suite
        Your own questions: a CSV with the columns question,answer, or JSON Lines (docs/probe.md).
    """
    given = {"model": model, "adapter": adapter, "before": before, "suite": suite}
    run_stage("probe", config, given, run)


def divergence(
    model: str,
    paragraphs: str,
    *,
    variant: str | None = None,
    adapter: str | None = None,
    beside: str | None = None,
    config: Annotated[DivergenceConfig, Flat] = DivergenceConfig(),
    run: Options = DEFAULT,
) -> None:
    """Compare a compressed variant with its reference, token by token, a language at a time.

    Example: seemant divergence embedded:gemma-3-270m tour/paragraphs --variant tour/q4

    Parameters
    ----------
    model
        The reference's base model.
    paragraphs
        A corpus artefact's folder (its held-out part is read), or a .jsonl file.
    variant
        A compress artefact's folder; without it, llama.cpp is compared with torch on the base.
    adapter
        The train artefact of the reference: merged into the variant, or else `beside` it.
    beside
        The train artefact that runs as a LoRA on top of a variant into which none was merged.
    """
    given = {"model": model, "adapter": adapter, "variant": variant, "beside": beside}
    run_stage("divergence", config, {**given, "paragraphs": paragraphs}, run)


def export(
    artefact: str,
    *,
    adapter: str | None = None,
    probe: list[str] | None = None,
    divergence: list[str] | None = None,
    bench: list[str] | None = None,
    config: Annotated[ExportConfig, Flat] = ExportConfig(),
    run: Options = DEFAULT,
) -> None:
    """Make a folder to take away: the model bit for bit, its card, its licence, how to serve it.

    Example: seemant export runs/compress/0123456789ab --out my-model

    Example: seemant export tour/q4 --probe tour/probed --divergence tour/divergence --out my-model

    Parameters
    ----------
    artefact
        A compress artefact's folder, or a model reference.
    adapter
        A train artefact's folder, shipped beside the model.
    probe
        Probe artefacts of this model: their figures stand in the card.
    divergence
        Divergence artefacts of this model, for the card.
    bench
        Bench artefacts of this model, for the card, with their machine.
    """
    folder = Path(artefact.removeprefix("run:").removeprefix("path:"))
    variant = (folder / VARIANT_NAME).is_file()
    given = {"variant": str(folder)} if variant else {"model": artefact}
    evidence = {
        f"{role}/{number}": text
        for role, texts in (("probe", probe), ("divergence", divergence), ("bench", bench))
        for number, text in enumerate(texts or [])
    }
    run_stage("export", config, {**given, "adapter": adapter, **evidence}, run)


def bench(
    *artefacts: str,
    config: Annotated[BenchConfig, Flat] = BenchConfig(),
    run: Options = DEFAULT,
) -> None:
    """Measure latency, memory and size of models on this machine, in turn, with their spread.

    Example: seemant bench runs/compress/0123456789ab embedded:smollm2-135m-instruct

    Parameters
    ----------
    artefacts
        Compress artefacts' folders or model references.
    """
    given = {f"variant/{number}": text for number, text in enumerate(artefacts)}
    run_stage("bench", config, given, run)
