"""llama.cpp's own vocabularies: its texts, its ids, and ours."""

from pathlib import Path
from typing import Any

from gguf import GGUFReader

from seemant.core.errors import SeemantError
from seemant.models.tokenizer import tokenizer_of_metadata
from suites.peer_files import llama_cpp_models

_BETWEEN = "\n__ggml_vocab_test__\n"


def rows() -> list[dict[str, Any]]:
    """Return a row for every vocabulary that has texts and ids beside it.

    n: texts. differ: texts whose ids are others. refused: whether it isn't read; why: our words.
    """
    return [_row(path) for path in sorted(llama_cpp_models().glob("ggml-vocab-*.inp"))]


def _row(texts: Path) -> dict[str, Any]:
    file = texts.with_suffix("")
    row: dict[str, Any] = {"part": "vocabularies", "name": file.stem.removeprefix("ggml-vocab-")}
    given = texts.read_text(encoding="utf-8").split(_BETWEEN)
    lines = file.with_suffix(".gguf.out").read_text(encoding="utf-8").splitlines()
    ids = [[int(each) for each in line.split()] for line in lines]
    row |= {"n": len(ids), "differ": 0, "refused": False, "why": ""}
    try:
        tokenizer = tokenizer_of_metadata(_said(file), file.name)
    except SeemantError as error:
        return row | {"refused": True, "why": str(error).splitlines()[0]}
    pairs = zip(given, ids, strict=False)  # what follows the last divider is no text
    differ = sum(tokenizer.encode(text, add_bos=False) != wanted for text, wanted in pairs)
    return row | {"differ": differ}


def _said(file: Path) -> dict[str, Any]:
    """Return a file's metadata. No model is asked for: gemma-4's own layers are refused here."""
    return {name: field.contents() for name, field in GGUFReader(file).fields.items()}
