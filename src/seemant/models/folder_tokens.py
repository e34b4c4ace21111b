"""Tokens that a folder's other files add to its `tokenizer.json`, as transformers adds them.

Trainers write tokens of their own into `tokenizer_config.json`, older ones into `added_tokens.json`
and `special_tokens_map.json`. Without them a model reads such a token letter by letter.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tokenizers

_NAMED = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_EXTRA = ("extra_special_tokens", "additional_special_tokens")


def add_folder_tokens(
    inner: "tokenizers.Tokenizer", folder: Path, config: Mapping[str, Any]
) -> None:
    """Add what `tokenizer.json` lacks; ids follow in order, whatever number a file gives them.

    config: the folder's `tokenizer_config.json`.
    """
    from tokenizers import AddedToken

    known = {each.content for each in inner.get_added_tokens_decoder().values()}
    for said in _tokens(folder, config):
        content = str(said.get("content") or "")
        if not content or content in known:
            continue
        known.add(content)
        settings = {key: bool(said.get(key)) for key in ("single_word", "lstrip", "rstrip")}
        special = bool(said.get("special"))
        normalized = bool(said.get("normalized", not special))
        inner.add_tokens([AddedToken(content, special=special, normalized=normalized, **settings)])


def _tokens(folder: Path, config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    numbered = config.get("added_tokens_decoder")
    named: dict[str, Any] = dict(config)
    if numbered is None:  # the older files count only where the newer setting is absent
        named |= _json(folder / "special_tokens_map.json")
    special = list(_special(named))
    if numbered is None:
        names = {each["content"] for each in special}
        older = _json(folder / "added_tokens.json")
        numbered = {i: {"content": text, "special": text in names} for text, i in older.items()}
    yield from (numbered[key] for key in sorted(numbered, key=int))
    yield from special


def _special(named: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    extra = [named.get(key) for key in _EXTRA]
    listed = [each for some in extra if isinstance(some, list) for each in some]
    for piece in (*(named.get(key) for key in _NAMED), *listed):
        if isinstance(piece, dict):
            yield piece | {"special": True}
        elif piece:
            yield {"content": str(piece), "special": True}


def _json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_bytes()) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
