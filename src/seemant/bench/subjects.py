"""What is measured: each input's model file, adapter, size and name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seemant.core.errors import BadConfig, BadFile, InputError
from seemant.core.refs import short_name
from seemant.core.stage import Input, Inputs

ROLE, ADAPTER_ROLE = "variant/", "adapter/"
VARIANT_NAME = "variant.json"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as it would be deployed.

    kv_bytes_per_token: what one token adds to the cache. n_vocab: width of a row of logits.
    """

    name: str
    model: Path
    adapter: Path | None
    file_bytes: int
    kv_bytes_per_token: int
    n_vocab: int


def subjects_of(inputs: Inputs) -> tuple[list[Subject], list[str]]:
    """Return the subjects in the order of their roles, and the names of those without a file.

    A variant that exists for torch alone (codes, no `model.gguf`) has no latency to measure.

    Raises:
        InputError: nothing is left to measure. BadConfig: an adapter without its model, or two
            inputs of one name. BadFile: no GGUF file.
    """
    roles = [role.removeprefix(ROLE) for role in inputs if role.startswith(ROLE)]
    for role in inputs:
        if role.startswith(ADAPTER_ROLE) and role.removeprefix(ADAPTER_ROLE) not in roles:
            name = role.removeprefix(ADAPTER_ROLE)
            raise BadConfig(f"{role} has no model", fix=f"give {ROLE}{name} too")
    found: list[Subject] = []
    skipped: list[str] = []
    for role in roles:
        given, adapter = inputs[ROLE + role], inputs.get(ADAPTER_ROLE + role)
        subject = _subject(given, adapter)
        if subject is None:
            skipped.append(role)
            continue
        if any(subject.name == other.name for other in found):
            raise BadConfig(f"two inputs are both {subject.name!r}", where=ROLE + role)
        found.append(subject)
    if not found:
        raise InputError(
            "nothing to measure: no input has a file that llama.cpp reads",
            where=", ".join(skipped) or None,
            fix="give compress artefacts with a model.gguf, or model references",
        )
    return found, skipped


def _subject(given: Input, adapter: Input | None) -> Subject | None:
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import check_base
    from seemant.models.resolve import weights_in

    model = weights_in(given.path)
    facts = _variant(given.path)
    if model.is_dir():
        if (given.path / VARIANT_NAME).is_file():
            return None
        raise BadFile(
            "llama.cpp measures GGUF files, and this is a folder",
            where=str(model),
            fix="compress it to GGUF first",
        )
    name = str(facts.get("subject") or short_name(given.label))
    name += "+lora" if adapter else ""
    size = model.stat().st_size
    if adapter:
        check_base(adapter.path, given.path, given.sha256)
        size += _adapter_bytes(adapter.path)
    file = open_gguf(model)
    if "token_embd.weight" not in file.tensors:
        raise BadFile(
            "the file has no token_embd.weight", where=str(model), fix="name a whole model file"
        )
    return Subject(
        name=name,
        model=model,
        adapter=adapter.path if adapter else None,
        file_bytes=size,
        kv_bytes_per_token=kv_bytes(file.metadata),
        n_vocab=file.tensors["token_embd.weight"].shape[0],
    )


def kv_bytes(metadata: dict[str, Any]) -> int:
    """Return the bytes of half-precision keys and values that one token adds to the cache.

    Raises:
        BadFile: the metadata lacks a number that this needs; names it.
    """
    kind = metadata["general.architecture"]
    try:
        heads = metadata[f"{kind}.attention.head_count"]
        width = metadata[f"{kind}.embedding_length"] // heads
        layers = metadata[f"{kind}.block_count"]
    except KeyError as error:
        raise BadFile(
            f"the file's metadata lacks {error.args[0]}", fix="name a whole model file"
        ) from error
    shared = metadata.get(f"{kind}.attention.head_count_kv", heads)
    k = metadata.get(f"{kind}.attention.key_length", width)
    v = metadata.get(f"{kind}.attention.value_length", width)
    return int(2 * shared * layers * (k + v))


def _adapter_bytes(path: Path) -> int:
    from seemant.models.backends.open import ADAPTER_NAME

    file = path / ADAPTER_NAME if path.is_dir() else path
    if file.is_file():
        return file.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*.safetensors"))


def _variant(path: Path) -> dict[str, Any]:
    file = path / VARIANT_NAME
    facts: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return facts
