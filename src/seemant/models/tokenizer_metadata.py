"""A folder's tokenizer in a GGUF file's words, proved on texts before it is written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.models.byte_fallback import MERGES_OF_LETTERS, byte_scores, complete, space_prefix
from seemant.models.cut_meaning import composed, cut_name
from seemant.models.special_tokens import (
    CONTROL,
    KEEP_SPACE_BEHIND,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    is_phi3,
)
from seemant.models.telling_texts import TEXTS
from seemant.models.tokenizer import Tokenizer, tokenizer_of_folder, tokenizer_of_metadata
from seemant.models.tokenizer_kinds import SPACE

_FIX = "use llama.cpp's own converter, or the model's published GGUF file"
_ADDED_TRIED = 64


def metadata_of_tokenizer(folder: Path, n_vocab: int, *, name: str = "") -> dict[str, Any]:
    """Return a folder's BPE tokenizer in a GGUF file's words.

    n_vocab: rows of the embedding; ids without a piece get a stand-in that no text gives, and
    added tokens without a row are left out, as transformers could not embed them either.
    name: the model's. Phi-3's special tokens swallow the white space behind them, which llama.cpp
    does for models of that name alone: such a one is given back as `general.name`.

    Raises:
        BadFile: another kind of tokenizer, or one that would give other ids from a GGUF file.
    """
    where = folder / "tokenizer.json"
    tokenizer = tokenizer_of_folder(folder)
    said = json.loads(where.read_bytes()) | {"added_tokens": _added(tokenizer, n_vocab)}
    model = said["model"]
    if model.get("type") != "BPE":
        raise BadFile(f"the tokenizer is {model.get('type')}, not BPE", where=str(where), fix=_FIX)
    pieces = {i: piece for piece, i in tokenizer.inner.get_vocab().items() if i < n_vocab}
    if (most := max(model["vocab"].values(), default=0)) >= n_vocab:
        raise BadFile(
            f"the tokenizer has ids up to {most}, the embedding {n_vocab} rows",
            where=str(where),
            fix="name the folder of a whole model",
        )
    types = _types(said, pieces, n_vocab)
    if model.get("byte_fallback"):
        own = _sentencepiece(tokenizer, said, pieces, types, str(where))
    else:
        own = _merged(cut_name(tokenizer.inner, str(where)), said, pieces, types)
    own["tokenizer.ggml.add_bos_token"] = tokenizer.add_bos
    for key, token in _named_ids(tokenizer, folder).items():
        if token is not None and token < n_vocab:
            own[f"tokenizer.ggml.{key}_token_id"] = token
    if _swallows_space(said) and not is_phi3(name):
        own["general.name"] = f"{name} (phi-3)".strip()
    _check_same(tokenizer, {"general.name": name} | own, said, str(where))
    return own


def _added(tokenizer: Tokenizer, n_vocab: int) -> list[dict[str, Any]]:
    """Added tokens that have a row, also those of the folder's other files."""
    return [
        {"id": i, "content": each.content, "special": each.special, "rstrip": each.rstrip}
        for i, each in sorted(tokenizer.inner.get_added_tokens_decoder().items())
        if i < n_vocab
    ]


def _types(said: Mapping[str, Any], pieces: Mapping[int, str], n_vocab: int) -> list[int]:
    unknown = said["model"].get("unk_token")
    types = [NORMAL if i in pieces else UNUSED for i in range(n_vocab)]
    for i, piece in pieces.items():
        if unknown and piece == unknown:
            types[i] = UNKNOWN
    for each in said["added_tokens"]:
        control = each["special"] or _looks_special(each["content"])
        types[int(each["id"])] = CONTROL if control else USER_DEFINED
    return types


def _looks_special(piece: str) -> bool:
    """Whether llama.cpp's converter takes an added token for a control token by its looks."""
    around = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
    named = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
    return piece in named or any(piece.startswith(a) and piece.endswith(b) for a, b in around)


def _merged(
    cut: str, said: Mapping[str, Any], pieces: Mapping[int, str], types: Sequence[int]
) -> dict[str, Any]:
    merges = [" ".join(each) for each in _merges(said["model"])]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": cut,
        "tokenizer.ggml.tokens": MetaValue("[string]", _written(pieces, len(types))),
        "tokenizer.ggml.token_type": MetaValue("[int32]", types),
        "tokenizer.ggml.merges": MetaValue("[string]", merges),
    }


def _sentencepiece(
    tokenizer: Tokenizer,
    said: Mapping[str, Any],
    pieces: Mapping[int, str],
    types: Sequence[int],
    where: str,
) -> dict[str, Any]:
    prefix = space_prefix(tokenizer.inner, where)
    merges = _merges(said["model"])
    scores, marked = byte_scores(pieces, types, merges)
    if not prefix and not complete(merges, said["model"]["vocab"]):
        # Not made from scores: only the merges themselves say what is joined.
        return _merged(MERGES_OF_LETTERS, said, pieces, marked)
    # Text is searched for these before its spaces become letters.
    shown = {i: p.replace(SPACE, " ") if types[i] == USER_DEFINED else p for i, p in pieces.items()}
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": MetaValue("[string]", _written(shown, len(types))),
        "tokenizer.ggml.scores": MetaValue("[float32]", scores),
        "tokenizer.ggml.token_type": MetaValue("[int32]", marked),
        "tokenizer.ggml.add_space_prefix": prefix,
    }


def _written(pieces: Mapping[int, str], n_vocab: int) -> list[str]:
    return [pieces.get(i, f"[PAD{i}]") for i in range(n_vocab)]


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Merges in their order; of equal ones the last counts, as the `tokenizers` library has it."""
    merges: dict[tuple[str, str], None] = {}
    for each in model.get("merges") or ():
        left, right = each.split(" ", 1) if isinstance(each, str) else each
        merges.pop((left, right), None)
        merges[left, right] = None
    return list(merges)


def _named_ids(tokenizer: Tokenizer, folder: Path) -> dict[str, int | None]:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_bytes()) if path.is_file() else {}

    def of(key: str) -> int | None:
        piece = config.get(key)
        text = piece.get("content") if isinstance(piece, dict) else piece
        return tokenizer.id_of(text) if text else None

    return {
        "bos": tokenizer.bos_id,
        "eos": tokenizer.eos_id,
        "unknown": of("unk_token"),
        "padding": of("pad_token"),
    }


def _swallows_space(said: Mapping[str, Any]) -> bool:
    """Whether the added tokens take the white space behind them as Phi-3's do."""
    behind = {each["content"] for each in said["added_tokens"] if each.get("rstrip")}
    kept = {each["content"] for each in said["added_tokens"] if not each.get("rstrip")}
    return bool(behind) and kept <= set(KEEP_SPACE_BEHIND) and "</s>" in behind | kept


def _check_same(
    tokenizer: Tokenizer, metadata: Mapping[str, Any], said: Mapping[str, Any], where: str
) -> None:
    """Read the metadata back and compare ids on the telling texts, added tokens among them."""
    plain = {
        key: value.value if isinstance(value, MetaValue) else value
        for key, value in metadata.items()
    }
    again = tokenizer_of_metadata(plain, where)
    added = [each["content"] for each in said["added_tokens"]]
    step = max(1, len(added) // _ADDED_TRIED)
    texts = [*TEXTS, *(f"a {piece} b{piece}\n{piece}" for piece in added[::step])]
    for text in texts:
        ids, theirs = again.encode(composed(text)), tokenizer.encode(composed(text))
        if ids != theirs:
            at = next(
                (i for i, (a, b) in enumerate(zip(ids, theirs, strict=False)) if a != b),
                min(len(ids), len(theirs)),
            )
            name = tokenizer.inner.id_to_token
            raise BadFile(
                f"a GGUF file would read {text[:40]!r} in other tokens than this folder: "
                f"{[name(i) for i in ids[at : at + 3]]}, "
                f"not {[name(i) for i in theirs[at : at + 3]]}",
                where=where,
                fix=_FIX,
            )
