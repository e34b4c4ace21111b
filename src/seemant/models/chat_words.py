"""What a model's own files say about its chat form: the template's text and its special pieces."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from seemant.core.errors import BadFile

PLAIN = "plain"
TEMPLATE_KEY = "tokenizer.chat_template"
_PIECES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_GGUF_NAMES = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # their spelling


@dataclass(frozen=True, slots=True)
class ChatWords:
    """source: the chat template's jinja text, "" for none. specials: pieces by transformers' name.

    Pieces that the model lacks are absent, as transformers leaves them undefined.
    """

    source: str
    specials: Mapping[str, str]


def words_of_metadata(metadata: Mapping[str, Any]) -> ChatWords:
    """Return what a GGUF file's metadata says."""
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    specials = {}
    for name in _PIECES:
        token = metadata.get(f"tokenizer.ggml.{_GGUF_NAMES.get(name, name)}_token_id")
        if isinstance(token, int) and 0 <= token < len(tokens):
            specials[f"{name}_token"] = str(tokens[token])
    return ChatWords(str(metadata.get(TEMPLATE_KEY) or ""), specials)


def words_of_folder(folder: Path) -> ChatWords:
    """Return what an HF folder says, read from where transformers reads it.

    Raises:
        BadFile: a file is not JSON or not text, or the folder has several named templates and
            none is the default.
    """
    config = {
        **_object(folder / "special_tokens_map.json"),
        **_object(folder / "tokenizer_config.json"),
    }
    specials = {}
    for name in _PIECES:
        piece = config.get(f"{name}_token")
        text = piece.get("content") if isinstance(piece, dict) else piece
        if isinstance(text, str) and text:
            specials[f"{name}_token"] = text
    return ChatWords(_source(folder, config.get("chat_template")), specials)


def read_form(asked: Any) -> Any:
    """Return what `--template` says: "plain", or the text of the template file that it names.

    A text that is a template already stays as it is, so that settings once read can be read again.

    Raises:
        BadFile: no such file, or it is not text.
    """
    if not isinstance(asked, str) or asked == PLAIN or "{{" in asked or "{%" in asked:
        return asked
    path = Path(asked)
    if not path.is_file():
        raise BadFile(
            f"no template file {asked!r}",
            where="--template",
            fix=f"name a file with a jinja chat template, or {PLAIN!r}",
        )
    text = _text(path)
    if not text.strip():
        raise BadFile("the template file is empty", where=asked, fix=f"say {PLAIN!r} for none")
    return text


TemplateChoice = Annotated[str | None, BeforeValidator(read_form)]
"""A setting that takes what `--template` takes, and keeps the template's text, not its path."""


def _source(folder: Path, said: Any) -> str:
    own = folder / "chat_template.jinja"  # where newer folders keep it; it counts before the rest
    if own.is_file():
        return _text(own)
    if not isinstance(said, list):
        return said if isinstance(said, str) else ""
    named = {str(each.get("name")): str(each.get("template")) for each in said}
    if "default" in named:
        return named["default"]
    if len(named) == 1:
        return next(iter(named.values()))
    raise BadFile(
        f"several chat templates and none is the default: {', '.join(sorted(named))}",
        where=str(folder / "tokenizer_config.json"),
        fix="put the right one into the folder as chat_template.jinja",
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise BadFile(f"not JSON: {error}", where=str(path), fix="fetch the model again") from error
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile("not a UTF-8 text file", where=str(path)) from error
