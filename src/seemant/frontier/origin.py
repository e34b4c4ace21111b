"""What kind of reference a model as it is makes, where the store holds the artefact that made it.

A variant says its kind itself (`variant.json`). A probe knows its model by label and content only;
but the stage that made a model lies in the same store, and only it knows what the weights are.
"""

from pathlib import Path

from seemant.compress.reference.which import DITHERED, Kind
from seemant.core.manifest import MANIFEST_NAME, load_manifest

_MAKERS: dict[str, Kind] = {"dither": DITHERED, "pretrain": "fp"}
"""Stage -> what its models are: moved off a grid by noise, or never rounded."""
_MODEL_NAME = "model.gguf"


def made_kinds(store: Path) -> dict[str, Kind]:
    """Return the kind of every model that a stage in this store made, by its content's hash.

    A model is known by its artefact's content and by its file's: it can be named either way.
    Unfinished artefacts are passed over.
    """
    found: dict[str, Kind] = {}
    for stage, kind in _MAKERS.items():
        for path in sorted((store / stage).glob(f"*/{MANIFEST_NAME}")):
            manifest = load_manifest(path.parent)
            found[manifest.content_sha256] = kind
            for file in manifest.files:
                if file.path == _MODEL_NAME:
                    found[file.sha256] = kind
    return found
