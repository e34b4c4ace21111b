"""Tokenizers of GGUF files, with llama.cpp's ids, and of HF folders.

How the kinds of tokenizer in GGUF files are built stands in `tokenizer_kinds.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile
from seemant.models.cuts import CUTS
from seemant.models.folder_tokens import add_folder_tokens
from seemant.models.special_tokens import mark_special, token_types
from seemant.models.tokenizer_kinds import tokenizer_of_kind

if TYPE_CHECKING:
    import tokenizers


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A tokenizer and what the model's file says about its special tokens.

    Special tokens written out in a text (`<|im_end|>`) are read as those tokens.
    """

    inner: "tokenizers.Tokenizer"
    bos_id: int | None
    eos_id: int | None
    add_bos: bool

    @property
    def n_tokens(self) -> int:
        """How many ids there are."""
        return int(self.inner.get_vocab_size())

    def encode(self, text: str, add_bos: bool | None = None) -> list[int]:
        """Return the text's ids; BOS first where asked, or, by default, where the model asks.

        A text that spells BOS out at its beginning (some chat templates do) gets no second one.
        """
        ids: list[int] = self.inner.encode(text, add_special_tokens=False).ids
        wanted = self.add_bos if add_bos is None else add_bos
        if not wanted or self.bos_id is None or ids[:1] == [self.bos_id]:
            return ids
        return [self.bos_id, *ids]

    def encode_batch(self, texts: Sequence[str], add_bos: bool | None = None) -> list[list[int]]:
        """Return `encode` of every text."""
        return [self.encode(text, add_bos) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the ids; special tokens are left out."""
        text: str = self.inner.decode(list(ids), skip_special_tokens=True)
        return text

    def id_of(self, piece: str) -> int | None:
        """Return the id of one whole token, as it is written in the vocabulary."""
        found: int | None = self.inner.token_to_id(piece)
        return found

    def save(self, folder: Path, specials: Mapping[str, str] | None = None) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads them.

        specials: the model's other special pieces by transformers' name (`pad_token`, ...).
        """
        self.inner.save(str(folder / "tokenizer.json"), pretty=False)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.add_bos,
            "bos_token": self._piece(self.bos_id),
            "eos_token": self._piece(self.eos_id),
        }
        config |= {name: piece for name, piece in (specials or {}).items() if name not in config}
        text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
        (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")

    def _piece(self, token: int | None) -> str | None:
        return None if token is None else self.inner.id_to_token(token)


def tokenizer_of_metadata(metadata: Mapping[str, Any], where: str = "") -> Tokenizer:
    """Return the tokenizer that a GGUF file's metadata describes.

    Raises:
        BadFile: no tokenizer in the file, or one of a kind that is not known here.
    """
    tokens = [each or f"[EMPTY_{i}]" for i, each in enumerate(_tokens(metadata))]
    inner = tokenizer_of_kind(tokens, metadata, where)
    mark_special(
        inner, tokens, token_types(tokens, metadata), str(metadata.get("general.name", ""))
    )
    bos, eos = (_token_id(metadata, name, len(tokens)) for name in ("bos", "eos"))
    # llama.cpp's defaults where the file says nothing: SentencePiece adds BOS, byte-level not.
    silent = _adds_bos_unasked(metadata)
    add_bos = bool(metadata.get("tokenizer.ggml.add_bos_token", silent))
    if add_bos and bos is not None:
        _add_bos(inner, tokens[bos], bos)
    return Tokenizer(inner, bos, eos, add_bos and bos is not None)


def tokenizer_of_folder(folder: Path) -> Tokenizer:
    """Return the tokenizer of an HF folder.

    Raises:
        BadFile: there is no `tokenizer.json`, or it cannot be read.
    """
    import tokenizers

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise BadFile(
            "the folder holds no tokenizer.json",
            where=str(folder),
            fix="fetch the model whole; slow tokenizers (tokenizer.model alone) are not read",
        )
    try:
        inner = tokenizers.Tokenizer.from_file(str(path))
        config_path = folder / "tokenizer_config.json"
        config = json.loads(config_path.read_bytes()) if config_path.is_file() else {}
        _without_state(inner)
        add_folder_tokens(inner, folder, config)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers raises bare Exception, or panics
        raise BadFile(
            f"the tokenizer cannot be read: {error}", where=str(path), fix="fetch the model again"
        ) from error
    bos, eos = (_named_id(inner, config.get(f"{name}_token")) for name in ("bos", "eos"))
    first = _first_added(inner)
    bos = first if bos is None else bos
    add_bos = bool(config.get("add_bos_token")) or (bos is not None and first == bos)
    return Tokenizer(inner, bos, eos, add_bos and bos is not None)


def _add_bos(inner: "tokenizers.Tokenizer", piece: str, token: int) -> None:
    from tokenizers import processors

    inner.post_processor = processors.TemplateProcessing(
        single=f"{piece} $A", pair=f"{piece} $A {piece} $B", special_tokens=[(piece, token)]
    )


def _tokens(metadata: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in metadata.get("tokenizer.ggml.tokens", ())]


def _token_id(metadata: Mapping[str, Any], name: str, n_tokens: int) -> int | None:
    value = metadata.get(f"tokenizer.ggml.{name}_token_id")
    if value is None and metadata.get("tokenizer.ggml.model") == "llama":
        value = {"bos": 1, "eos": 2}[name]  # llama.cpp's defaults for SentencePiece
    return None if value is None or int(value) >= n_tokens else int(value)


def _adds_bos_unasked(metadata: Mapping[str, Any]) -> bool:
    kind, name = metadata.get("tokenizer.ggml.model"), str(metadata.get("tokenizer.ggml.pre"))
    return kind in ("llama", "gemma4") or (name in CUTS and CUTS[name].adds_bos)


def _without_state(inner: "tokenizers.Tokenizer") -> None:
    # How long a batch once was is saved beside the words; none of it is the tokenizer's meaning.
    inner.no_truncation()
    inner.no_padding()
    if getattr(inner.model, "dropout", None):
        inner.model.dropout = None  # merges left out at random: of its training


def _first_added(inner: "tokenizers.Tokenizer") -> int | None:
    """The one special token that is put before every text, where it is one."""
    plain = inner.encode("a", add_special_tokens=False).ids
    whole = inner.encode("a", add_special_tokens=True).ids
    if whole != plain and whole[1 : 1 + len(plain)] == plain:
        return int(whole[0])
    return None


def _named_id(inner: "tokenizers.Tokenizer", piece: Any) -> int | None:
    text = piece.get("content") if isinstance(piece, dict) else piece
    found: int | None = inner.token_to_id(text) if text else None
    return found
