"""A folder's tokenizer in a GGUF file's words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.models.pretokenize import SPECS
from seemant.models.tokenizer import CONTROL, USER_DEFINED, tokenizer_of_folder

_NORMAL, _UNUSED = 1, 5


def metadata_of_tokenizer(folder: Path, n_vocab: int) -> dict[str, Any]:
    """Return a folder's byte-level BPE tokenizer in a GGUF file's words.

    n_vocab: rows of the embedding; ids without a piece get a stand-in that no text gives.

    Raises:
        BadFile: it is another kind of tokenizer, or cuts words as llama.cpp never does.
    """
    where = folder / "tokenizer.json"
    tokenizer = tokenizer_of_folder(folder)
    said = json.loads(where.read_bytes())
    if said["model"].get("type") != "BPE" or said["model"].get("byte_fallback"):
        raise BadFile(
            f"the tokenizer is {said['model'].get('type')}, not byte-level BPE",
            where=str(where),
            fix="use llama.cpp's own converter",
        )
    pieces = {index: piece for piece, index in tokenizer.inner.get_vocab().items()}
    if pieces and max(pieces) >= n_vocab:
        raise BadFile(
            f"the tokenizer has ids up to {max(pieces)}, the embedding {n_vocab} rows",
            where=str(where),
            fix="name the folder of a whole model",
        )
    kinds = {
        int(each["id"]): CONTROL if each["special"] else USER_DEFINED
        for each in said.get("added_tokens", ())
    }
    types = [kinds.get(i, _NORMAL if i in pieces else _UNUSED) for i in range(n_vocab)]
    merges = [each if isinstance(each, str) else " ".join(each) for each in said["model"]["merges"]]
    metadata: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": _cut(said, str(where)),
        "tokenizer.ggml.tokens": MetaValue(
            "[string]", [pieces.get(i, f"[PAD{i}]") for i in range(n_vocab)]
        ),
        "tokenizer.ggml.token_type": MetaValue("[int32]", types),
        "tokenizer.ggml.merges": MetaValue("[string]", merges),
        "tokenizer.ggml.add_bos_token": tokenizer.add_bos,
    }
    for key, token in (("bos", tokenizer.bos_id), ("eos", tokenizer.eos_id)):
        if token is not None:
            metadata[f"tokenizer.ggml.{key}_token_id"] = token
    return metadata


def _cut(said: Mapping[str, Any], where: str) -> str:
    """Return the GGUF name of the cut: the one whose pre-tokenizer is written the same."""
    from tokenizers import Tokenizer, models

    for name, spec in SPECS.items():
        probe = Tokenizer(models.BPE(ignore_merges=spec.whole_words_first))
        probe.pre_tokenizer = spec.build()
        known = json.loads(probe.to_str())
        same = known["pre_tokenizer"] == said["pre_tokenizer"]
        if same and known["model"]["ignore_merges"] == bool(said["model"].get("ignore_merges")):
            return name
    raise BadFile(
        "the tokenizer cuts words in a way that has no name in GGUF files",
        where=where,
        fix=f"use one of the cuts {', '.join(SPECS)}, or llama.cpp's own converter",
    )
