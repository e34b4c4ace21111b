"""The commands of the compress room: from flags to `run_stage`, nothing else."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from seemant.cli.options import DEFAULT, Options, run_stage
from seemant.compress.attribution.config import AttributionConfig
from seemant.compress.attribution.lost_first_config import LostFirstConfig
from seemant.compress.config import CompressConfig
from seemant.compress.qat.config import QatConfig
from seemant.compress.reference.config import ReferenceConfig
from seemant.compress.rotate.config import RotateConfig
from seemant.compress.vocab.config import TrimConfig
from seemant.core.config import validate
from seemant.core.errors import InputError
from seemant.models.convert.config import ConvertConfig

Flat = Parameter(name="*")


def compress(
    model: str,
    *,
    adapter: str | None = None,
    calibration: str | None = None,
    lang: str | None = None,
    config: Annotated[CompressConfig, Flat] = CompressConfig(),
    run: Options = DEFAULT,
) -> None:
    """Quantise a model into the GGUF file that ships, and prove that it holds those integers.

    Example: seemant compress embedded:gemma-3-270m --method gptq --calibration my-text.txt

    Example: seemant compress MODEL --search --budget 240MB --lang hi,kn --calibration my-text.txt

    Parameters
    ----------
    model
        A model reference to a GGUF file.
    adapter
        A train artefact's folder, merged in fp32 before anything is rounded.
    calibration
        Text for the methods that look at what the layers read: a corpus artefact's folder, a
        .jsonl file of paragraphs, or plain text.
    lang
        Short for --languages: hi,kn
    """
    if lang:
        given_languages = tuple(each.strip() for each in lang.split(","))
        config = validate(
            CompressConfig,
            {**config.model_dump(), "languages": given_languages},
            where="--lang",
            lines={},
        )
    if calibration and not (config.calibrated or config.search):
        print(
            f"note: --calibration is not read: method {config.method_name} looks at weights only "
            "(imatrix, gptq, wanda, sparsegpt, --prepare awq and --search read it)",
            file=sys.stderr,
        )
    given = {"model": model, "adapter": adapter, "calibration": calibration}
    run_stage("compress", config, given, run)


def convert(
    model: str,
    *,
    config: Annotated[ConvertConfig, Flat] = ConvertConfig(),
    run: Options = DEFAULT,
) -> None:
    """Write a Hugging Face folder as the GGUF file that compress reads; nothing is rounded.

    Example: seemant convert hf:Qwen/Qwen2.5-0.5B-Instruct --licence apache-2.0

    Parameters
    ----------
    model
        A model reference to a folder; `seemant models fetch` brings it from the Hub.
    """
    run_stage("convert", config, {"model": model}, run)


def qat(
    model: str,
    paragraphs: str,
    *,
    variant: str | None = None,
    adapter: str | None = None,
    config: Annotated[QatConfig, Flat] = QatConfig(),
    run: Options = DEFAULT,
) -> None:
    """Train codes and scales to give the unrounded model's answers; the file that ships comes out.

    Example: seemant qat embedded:gemma-3-270m my-text.jsonl --variant runs/compress/0123456789ab

    Parameters
    ----------
    model
        The unrounded model, which is the teacher.
    paragraphs
        A corpus artefact's folder, or a .jsonl file of paragraphs.
    variant
        A compress artefact's folder to start from (best: of gptq); without it, rounded to nearest.
    adapter
        A train artefact's folder, merged into the teacher.
    """
    given = {"model": model, "adapter": adapter, "variant": variant, "paragraphs": paragraphs}
    run_stage("qat", config, given, run)


def attribution(
    model: str,
    paragraphs: str,
    *,
    variant: str,
    adapter: str | None = None,
    config: Annotated[AttributionConfig, Flat] = AttributionConfig(),
    run: Options = DEFAULT,
) -> None:
    """Tell where a variant's divergence comes from: layer by layer, language by language.

    Example: seemant attribution embedded:gemma-3-270m tour/paragraphs --variant tour/q4

    Parameters
    ----------
    model
        The reference's base model.
    paragraphs
        A corpus artefact's folder (its held-out part is read), or a .jsonl file.
    variant
        A compress artefact's folder.
    adapter
        The train artefact that was merged into the variant.
    """
    given = {"model": model, "adapter": adapter, "variant": variant, "paragraphs": paragraphs}
    run_stage("attribution", config, given, run)


def lost_first(
    base: str,
    tuned: str,
    *pairs: str,
    config: Annotated[LostFirstConfig, Flat] = LostFirstConfig(),
    run: Options = DEFAULT,
) -> None:
    """Tell what variants of a tuned model lost first: taught facts, own facts, conduct or style.

    Example: seemant lost-first runs/probe/BASE runs/probe/TUNED runs/compress/Q4 runs/probe/Q4

    Parameters
    ----------
    base
        The probe artefact of the model before tuning.
    tuned
        The probe artefact of the tuned model, not compressed.
    pairs
        Compress artefacts' folders and the probe artefacts of their models, in any order.
    """
    given = {"base": base, "tuned": tuned}
    for number, text in enumerate(pairs):
        folder = Path(text.removeprefix("run:"))
        kind = "variant" if (folder / "variant.json").is_file() else "probe"
        given[f"{kind}/{number}"] = text
    if not any(role.startswith("variant/") for role in given):
        raise InputError(
            "no variant is named",
            fix="name compress artefacts and the probes of their models behind the two probes",
        )
    run_stage("lost_first", config, given, run)


def dither(
    model: str,
    *,
    config: Annotated[ReferenceConfig, Flat] = ReferenceConfig(),
    run: Options = DEFAULT,
) -> None:
    """Move a quantised model off its own grid, so that methods can be ranked on it; never shipped.

    Example: seemant dither embedded:gemma-3-270m --seed 1

    Parameters
    ----------
    model
        A model reference to a GGUF file.
    """
    run_stage("dither", config, {"model": model}, run)


def rotate(
    model: str,
    *,
    config: Annotated[RotateConfig, Flat] = RotateConfig(),
    run: Options = DEFAULT,
) -> None:
    """Turn a model's residual stream: the same function, outliers spread over all channels.

    Example: seemant rotate embedded:smollm2-135m-instruct --out tour/rotated

    Parameters
    ----------
    model
        A model reference to a GGUF file of a Llama, Qwen2 or Qwen3 model.
    """
    run_stage("rotate", config, {"model": model}, run)


def trim(
    model: str,
    paragraphs: str,
    *,
    config: Annotated[TrimConfig, Flat] = TrimConfig(),
    run: Options = DEFAULT,
) -> None:
    """Keep only the tokens that a text needs: the rest of the vocabulary's rows leave the file.

    Example: seemant trim runs/compress/0123456789ab my-text.txt --keep Bengaluru बेंगलुरु

    Parameters
    ----------
    model
        A model reference to a GGUF file; a compress artefact's folder, too.
    paragraphs
        The text that the model is for: a corpus artefact's folder, a .jsonl file of paragraphs,
        or plain text.
    """
    run_stage("trim", config, {"model": model, "paragraphs": paragraphs}, run)
