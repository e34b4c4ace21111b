"""The card, README.md: what the model is, what was done to it, what was measured, how to run it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seemant import __version__
from seemant.compress.adapter_gain import in_words
from seemant.core.records import Lang


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything a card says. `variant` is variant.json's content, {} for a model as it is."""

    name: str
    base: str
    licence: str
    licence_link: str
    licence_files: tuple[str, ...]
    variant: Mapping[str, Any]
    metadata: Mapping[str, Any]
    file_bytes: int
    sha256: str
    adapter: bool
    commands: Mapping[str, str]
    prompts: Mapping[Lang, str]
    evidence: str
    notice: str = ""


def card(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    parts = [
        f"# {facts.name}\n",
        *([f"> **{facts.notice}**\n"] if facts.notice else []),
        _what(facts),
        *_warnings(facts.variant),
        "## What was done\n\n" + _rows(_done(facts)),
        "## What was measured\n\n" + facts.evidence,
        "## How to ask\n\n" + _asking(facts.prompts),
        "## How to run\n\nInside this folder:\n\n" + _commands(facts.commands),
        "## Licence\n\n" + _licence(facts),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _what(facts: CardFacts) -> str:
    base = f"`{facts.base}`"
    if not facts.variant:
        tail = ", with a LoRA adapter beside it (`adapter.gguf`)" if facts.adapter else ""
        return f"The model {base} as it is{tail}, bundled by seemant {__version__}.\n"
    tuned = (
        "fine-tuned (a LoRA adapter was merged in fp32) and " if facts.variant["adapter"] else ""
    )
    tail = " A further LoRA adapter lies beside it (`adapter.gguf`)." if facts.adapter else ""
    return (
        f"A modified version of {base}, {tuned}compressed by seemant {__version__}: "
        f"{facts.variant['method'].upper()}, {_blocks(facts.variant)}.{tail}\n"
    )


def _warnings(variant: Mapping[str, Any]) -> list[str]:
    said = []
    if variant.get("simulated"):
        said.append(
            f"{variant['bits']} bits have no layout of their own at this width: the weights lie in "
            f"{variant['container']}, so the file is larger than its bits."
        )
    if variant.get("on_reference_grid"):
        said.append(
            "The base file was stored on the very grid of this variant: that it loses nothing "
            "against the base is an artefact of the base, not a merit of the method."
        )
    if variant.get("nested_in_reference_grid"):
        said.append(
            "Half of the base file's own grid points fall midway between two points of this "
            "variant's grid: its error is larger than it would be on a model never quantised."
        )
    if (gain := in_words(variant)) is not None:
        said.append(f"Of the adapter: {gain}.")
    if variant.get("embedding_bits", 8) < 8:
        said.append(
            f"The embedding has {variant['embedding_bits']} bits. In small multilingual models "
            "that can hurt Indic scripts while English looks well: see the measurements of each "
            "language."
        )
    return [f"> **Note.** {text}\n" for text in said]


def _done(facts: CardFacts) -> dict[str, str]:
    rows = {
        "base": facts.base + _base_words(facts.variant),
        "file": f"model.gguf, {facts.file_bytes:,} bytes",
        "sha256": facts.sha256,
    }
    variant = facts.variant
    if variant:
        rows |= {
            "base sha256": variant["base"]["sha256"],
            "adapter": variant["adapter"]["label"] if variant["adapter"] else "none",
            "method": f"{variant['method']}, {_grid(variant)}",
            **_extras(variant),
            "embedding": _embedding(variant),
            "bits a weight, whole file": f"{variant['bits_per_weight_file']:.3f}",
            "relative weight error, blocks": f"{variant['relative_error']['blocks']:.4f}",
            "integers sha256": variant["integers_sha256"],
        }
    return rows


_BASE_WORDS = {
    "dequantised file": " (as its file stores it, dequantised)",
    "fp": " (weights that were never rounded to few bits)",
}
"""Kind of the reference (`variant.json`) -> what of the base was compressed."""


def _base_words(variant: Mapping[str, Any]) -> str:
    """Return what the base's weights are; nothing of a model as it is: its file is copied whole."""
    kind = str(variant.get("reference") or "").partition(" + ")[0]
    return _BASE_WORDS.get(kind, "")


_OF_BLOCKS = {"q3_k": 3, "q4_k": 4, "q5_k": 5, "q6_k": 6}
"""Formats whose groups have scales of 6 bits inside super-blocks of 256: one word says it."""


def _blocks(variant: Mapping[str, Any]) -> str:
    """Return "4 bits", or "4 bits (q4_k)" where the layout is more than bits and a group."""
    name = str(variant.get("format") or "")
    mixed = " and other formats (mixed precision)" if variant.get("formats") else ""
    return f"{variant['bits']} bits{f' ({name})' if name in _OF_BLOCKS else ''}{mixed}"


def _grid(variant: Mapping[str, Any]) -> str:
    name, group = str(variant.get("format") or ""), variant["group"]
    if name in _OF_BLOCKS:
        return f"{name}: {variant['bits']} bits, super-blocks of 256, groups of {group}"
    if name == "mixed":
        return f"{variant['bits']:.2f} bits on average, formats by tensor"
    return (
        f"{variant['bits']} bits, {'per channel' if group == 'channel' else f'group {group}'}, "
        f"{'symmetric' if variant['symmetric'] else 'asymmetric'}"
    )


def _extras(variant: Mapping[str, Any]) -> dict[str, str]:
    """Return what only some variants have: pruning, mixed formats, calibration text, reference."""
    rows = {}
    if variant.get("sparsity"):
        rows["pruned"] = str(variant["sparsity"])
    if variant.get("formats"):
        names = Counter(each.partition("=")[2] for each in variant["formats"])
        counted = ", ".join(f"{name} ({n})" for name, n in sorted(names.items()))
        rows["formats of tensors or kinds"] = counted
    if calibration := variant.get("calibration"):
        tokens = ", ".join(f"{lang} {n:,}" for lang, n in calibration["tokens"].items())
        rows["calibrated on tokens of"] = tokens
    if variant.get("reference"):
        rows["reference"] = str(variant["reference"])
    return rows


def _embedding(variant: Mapping[str, Any]) -> str:
    method = str(variant.get("embedding_method") or "rtn")
    name = str(variant["embedding"])
    group = "" if name in _OF_BLOCKS or name == "f16" else ", group 32"
    return f"{name}{group}{'' if method == 'rtn' else f', by {method}'}"


def _rows(rows: Mapping[str, str]) -> str:
    # A label is the user's: a bar in it would begin another cell.
    lines = ["| {} | {} |".format(key, value.replace("|", "\\|")) for key, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def _asking(prompts: Mapping[Lang, str]) -> str:
    text = "The prompt form of this model, up to where its answer begins:\n\n"
    return text + "\n".join(_fenced(prompt, "text") for prompt in prompts.values())


def _commands(lines: Mapping[str, str]) -> str:
    return "\n".join(f"{what}:\n\n{_fenced(line, 'sh')}" for what, line in lines.items())


def _licence(facts: CardFacts) -> str:
    name = facts.licence or "not stated by the model file; ask its maker before you pass it on"
    link = f", {facts.licence_link}" if facts.licence_link else ""
    files = ", ".join(f"`{file}`" for file in facts.licence_files)
    travel = f" Its text travels with this folder: {files}." if files else ""
    modified = " These files were modified as described above." if facts.variant else ""
    gemma = (
        " Gemma is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms; whoever passes these files on passes the terms on too."
        if facts.licence.lower().startswith("gemma")
        else ""
    )
    return f"{name}{link}.{travel}{modified}{gemma}\n"


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}\n"
