"""What the measurements call a model, and which file of it an engine opens."""

from pathlib import Path

from seemant.core.errors import InputError
from seemant.core.jsonl import read_json
from seemant.core.refs import short_name
from seemant.core.stage import Input

MODEL_NAME, VARIANT_NAME = "model.gguf", "variant.json"


def subject_of(model: Input, adapter: Input | None, variant: Input | None = None) -> str:
    """Return "gemma-3-270m", "gemma-3-270m+lora", "gemma-3-270m+lora/q4_0-g32", ...

    A compress artefact says itself what it is, whichever role it comes in.
    """
    own = variant_facts((variant or model).path)
    if named := own.get("subject"):
        return str(named)
    name = short_name(model.label) + ("+lora" if adapter is not None else "")
    return f"{name}/{own.get('name') or Path(variant.label).name}" if variant else name


def variant_facts(folder: Path) -> dict[str, object]:
    """Return what `variant.json` of a compress artefact says; nothing where there is none."""
    path = folder / VARIANT_NAME
    facts: dict[str, object] = read_json(path) if path.is_file() else {}
    return facts


def made_from_another(model: Input, adapter: Input | None, variant: Input | None) -> str | None:
    """Return what a variant was made from, if that is not this model with this adapter.

    None where it is, and where the variant does not say. A rotated file counts as another one.
    """
    facts = variant_facts(variant.path) if variant is not None else {}
    base, merged = facts.get("base"), facts.get("adapter")
    if not isinstance(base, dict):
        return None
    theirs = merged if isinstance(merged, dict) else {}
    ours = adapter.sha256 if adapter is not None else None
    if (base.get("sha256"), theirs.get("sha256")) == (model.sha256, ours):
        return None
    return " + ".join(str(each.get("label")) for each in (base, theirs) if each)


def model_file(model: Input) -> Path:
    """Return the file or HF folder of a model; of a compress artefact its `model.gguf`.

    Raises:
        InputError: the artefact is a torch-only row without a file that could be deployed.
    """
    if (model.path / MODEL_NAME).is_file():
        return model.path / MODEL_NAME
    if (model.path / VARIANT_NAME).is_file():
        raise InputError(
            "this variant is a torch-only row: no runtime file holds it",
            where=str(model.path),
            fix="probe a variant with a model.gguf, or measure its divergence instead",
        )
    return model.path
