"""The kinds of tokenizer that GGUF files hold, built for the `tokenizers` library.

"gpt2" is byte-level BPE with its merges in the file, "gemma4" the same merges on letters.
"llama" is SentencePiece BPE: the file holds no merges, only a score a token. Its rule is: of all
neighbours whose joined text is a token, join the pair whose token scores best, the leftmost of
equals. So the merge list is every split of every token into two tokens, best score first. That is
about half a million pairs for Gemma, found here with plain dictionary look-ups in a second.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile
from seemant.models.cuts import cut_of

if TYPE_CHECKING:
    import tokenizers

SPACE = "▁"  # SentencePiece writes a space as this letter
KINDS = ("llama", "gpt2", "gemma4")
# Kinds that llama.cpp knows and that are not read here, and why.
_OTHERS = {
    "bert": "WordPiece, of encoders, which write no text",
    "t5": "SentencePiece's unigram kind, of T5 and of encoders",
    "rwkv": "a trie of RWKV, whose layers are not read here",
    "plamo2": "a table of PLaMo 2, whose layers are not read here",
    "hybriddna": "letters of DNA",
    "whitespace": "words between spaces, of encoders",
    "no_vocab": "none at all: the file was written without its vocabulary",
    "none": "none at all: the file was written without its vocabulary",
}


def tokenizer_of_kind(
    tokens: list[str], metadata: Mapping[str, Any], where: str
) -> "tokenizers.Tokenizer":
    """Return the tokenizer of a file's tokens, its special tokens not yet marked.

    Raises:
        BadFile: a kind, a cut or a list of merges that is not read here.
    """
    kind = metadata.get("tokenizer.ggml.model")
    if not tokens or kind not in KINDS:
        why = f": {_OTHERS[kind]}" if kind in _OTHERS else ""
        raise BadFile(
            f"the file's tokenizer is of kind {kind!r}{why}",
            where=where or None,
            fix=f"use a model whose tokenizer.ggml.model is one of {', '.join(KINDS)}",
        )
    if kind == "llama":
        return _sentencepiece(tokens, metadata)
    pre = "gemma4" if kind == "gemma4" else str(metadata.get("tokenizer.ggml.pre") or "default")
    return _with_merges(tokens, metadata, pre, where)


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
            if token[:cut] in known and token[cut:] in known:
                merges.append((token[:cut], token[cut:]))
    return merges


def _sentencepiece(tokens: list[str], metadata: Mapping[str, Any]) -> "tokenizers.Tokenizer":
    from tokenizers import Tokenizer, models, normalizers

    scores = [float(each) for each in metadata.get("tokenizer.ggml.scores", ())]
    scores += [0.0] * (len(tokens) - len(scores))
    unknown = int(metadata.get("tokenizer.ggml.unknown_token_id", 0))  # llama.cpp's default
    inner = Tokenizer(
        models.BPE(
            vocab=_vocabulary(tokens),
            merges=sentencepiece_merges(tokens, scores),
            unk_token=tokens[unknown] if unknown < len(tokens) else None,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    steps = [normalizers.Prepend(SPACE)] if prefix else []
    inner.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    inner.decoder = _letters_back(prefix=prefix)
    return inner


def _with_merges(
    tokens: list[str], metadata: Mapping[str, Any], pre: str, where: str
) -> "tokenizers.Tokenizer":
    from tokenizers import Tokenizer, decoders, models, normalizers

    cut = cut_of(pre)
    vocabulary, merges = _vocabulary(tokens), _merges(metadata)
    for left, right in merges:  # the library would panic
        if not {left, right, left + right} <= vocabulary.keys():
            raise BadFile(
                f"the tokenizer joins {left!r} and {right!r}: not all three are tokens",
                where=where or "tokenizer.ggml.merges",
                fix="convert the model again with a current llama.cpp",
            )
    inner = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            ignore_merges=cut.whole_words_first,
            byte_fallback=cut.spaces_as_letters,
        )
    )
    inner.pre_tokenizer = cut.build()
    if cut.spaces_as_letters:
        inner.normalizer = normalizers.Replace(" ", SPACE)
        inner.decoder = _letters_back(prefix=False)
    else:
        inner.decoder = decoders.ByteLevel()
    return inner


def _merges(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    merges: dict[tuple[str, str], None] = {}  # of equal ones the first counts
    for each in metadata.get("tokenizer.ggml.merges", ()):
        at = each.find(" ", 1)  # the left piece may begin with a space
        merges.setdefault((each[:at], each[at + 1 :]) if at > 0 else (each, ""))
    return list(merges)


def _letters_back(*, prefix: bool) -> Any:
    from tokenizers import decoders

    undo = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*undo, decoders.Strip(" ", 1, 0)] if prefix else undo)


def _vocabulary(tokens: list[str]) -> dict[str, int]:
    # Of two equal pieces the first id counts, as in llama.cpp's look-up.
    return {token: index for index, token in reversed(list(enumerate(tokens)))}
