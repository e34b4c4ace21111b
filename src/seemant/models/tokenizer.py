"""Tokenizers made from a GGUF file's metadata, with llama.cpp's ids.

llama.cpp has two kinds that matter here. "gpt2" is byte-level BPE with its merges in the file.
"llama" is SentencePiece BPE: the file holds no merges, only a score a token. Its rule is: of all
neighbours whose joined text is a token, join the pair whose token scores best, the leftmost of
equals. So the merge list is every split of every token into two tokens, best score first. That is
about half a million pairs for Gemma, found here with plain dictionary look-ups in a second.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile
from seemant.models.pretokenize import pretokenizer_of

if TYPE_CHECKING:
    import tokenizers

# llama.cpp's token types (llama_token_type).
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4
SPACE = "▁"  # SentencePiece writes a space as this letter


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
        """Return the text's ids; BOS first where asked, or, by default, where the model asks."""
        ids: list[int] = self.inner.encode(text, add_special_tokens=False).ids
        wanted = self.add_bos if add_bos is None else add_bos
        return [self.bos_id, *ids] if wanted and self.bos_id is not None else ids

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

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as transformers reads them."""
        self.inner.save(str(folder / "tokenizer.json"), pretty=False)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.add_bos,
            "bos_token": self._piece(self.bos_id),
            "eos_token": self._piece(self.eos_id),
        }
        text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
        (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")

    def _piece(self, token: int | None) -> str | None:
        return None if token is None else self.inner.id_to_token(token)


def tokenizer_of_metadata(metadata: Mapping[str, Any], where: str = "") -> Tokenizer:
    """Return the tokenizer that a GGUF file's metadata describes.

    Raises:
        BadFile: no tokenizer in the file, or one of a kind that is not known here.
    """
    kind = metadata.get("tokenizer.ggml.model")
    tokens = list(metadata.get("tokenizer.ggml.tokens", ()))
    if not tokens or kind not in ("llama", "gpt2"):
        raise BadFile(
            f"the file's tokenizer is of kind {kind!r}",
            where=where or None,
            fix='use a model whose tokenizer.ggml.model is "llama" or "gpt2"',
        )
    types = [int(each) for each in metadata.get("tokenizer.ggml.token_type", ())]
    types = types or [1] * len(tokens)
    inner = _sentencepiece(tokens, metadata) if kind == "llama" else _byte_level(tokens, metadata)
    _mark_special(inner, tokens, types)
    bos, eos = (_token_id(metadata, name) for name in ("bos", "eos"))
    # llama.cpp's defaults where the file says nothing: SentencePiece adds BOS, byte-level not.
    add_bos = bool(metadata.get("tokenizer.ggml.add_bos_token", kind == "llama"))
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
    except Exception as error:  # tokenizers raises bare Exception
        raise BadFile(
            f"the tokenizer cannot be read: {error}", where=str(path), fix="fetch the model again"
        ) from error
    bos, eos = (_named_id(inner, config.get(f"{name}_token")) for name in ("bos", "eos"))
    added = inner.encode("a", add_special_tokens=True).ids
    add_bos = bool(config.get("add_bos_token")) or (bos is not None and added[:1] == [bos])
    return Tokenizer(inner, bos, eos, add_bos and bos is not None)


def sentencepiece_merges(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Return every split of a token into two tokens, in the order in which they are joined.

    Better scores first. Splits of one token are ordered by the length of their left part, so the
    result is the same on every machine; llama.cpp takes the leftmost, which differs only where
    two splits of the same token overlap in a text ("aa|a" and "a|aa").
    """
    known = set(tokens)
    order = sorted(range(len(tokens)), key=lambda index: -scores[index])
    merges = []
    for index in order:
        token = tokens[index]
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in known and right in known:
                merges.append((left, right))
    return merges


def _sentencepiece(tokens: list[str], metadata: Mapping[str, Any]) -> "tokenizers.Tokenizer":
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = [float(each) for each in metadata.get("tokenizer.ggml.scores", ())]
    scores = scores or [0.0] * len(tokens)
    unknown = _token_id(metadata, "unknown")
    inner = Tokenizer(
        models.BPE(
            vocab=_vocabulary(tokens),
            merges=sentencepiece_merges(tokens, scores),
            unk_token=None if unknown is None else tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    steps = [normalizers.Prepend(SPACE)] if prefix else []
    inner.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    undo = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    inner.decoder = decoders.Sequence([*undo, *strip])
    return inner


def _byte_level(tokens: list[str], metadata: Mapping[str, Any]) -> "tokenizers.Tokenizer":
    from tokenizers import Tokenizer, decoders, models

    name = str(metadata.get("tokenizer.ggml.pre", "default"))
    before = pretokenizer_of(name)
    merges = [tuple(each.split(" ", 1)) for each in metadata.get("tokenizer.ggml.merges", ())]
    vocabulary = _vocabulary(tokens)
    inner = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, ignore_merges=before.whole_words_first)
    )
    inner.pre_tokenizer = before.build()
    inner.decoder = decoders.ByteLevel()
    return inner


def _vocabulary(tokens: list[str]) -> dict[str, int]:
    # Of two equal pieces the first id counts, as in llama.cpp's look-up.
    return {token: index for index, token in reversed(list(enumerate(tokens)))}


def _mark_special(inner: "tokenizers.Tokenizer", tokens: list[str], types: list[int]) -> None:
    from tokenizers import AddedToken

    hidden = [tokens[i] for i, kind in enumerate(types) if kind in (CONTROL, UNKNOWN)]
    shown = [tokens[i] for i, kind in enumerate(types) if kind == USER_DEFINED]
    inner.add_special_tokens([AddedToken(each, normalized=False, special=True) for each in hidden])
    inner.add_tokens([AddedToken(each, normalized=False, special=False) for each in shown])


def _add_bos(inner: "tokenizers.Tokenizer", piece: str, token: int) -> None:
    from tokenizers import processors

    inner.post_processor = processors.TemplateProcessing(
        single=f"{piece} $A", pair=f"{piece} $A {piece} $B", special_tokens=[(piece, token)]
    )


def _token_id(metadata: Mapping[str, Any], name: str) -> int | None:
    value = metadata.get(f"tokenizer.ggml.{name}_token_id")
    return None if value is None else int(value)


def _named_id(inner: "tokenizers.Tokenizer", piece: Any) -> int | None:
    text = piece.get("content") if isinstance(piece, dict) else piece
    found: int | None = inner.token_to_id(text) if text else None
    return found
