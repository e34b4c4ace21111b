"""A folder's word cut, known by what it does to texts and not by how it is written."""

import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile
from seemant.models.cuts import CUTS
from seemant.models.telling_texts import TEXTS

if TYPE_CHECKING:
    import tokenizers

_FIX = "use llama.cpp's own converter, or the model's published GGUF file"
Words = list[list[str]]


def cut_name(inner: "tokenizers.Tokenizer", where: str) -> str:
    """Return the GGUF name of a byte-level tokenizer's cut.

    It is the first name whose words are the same on every telling text, and which takes words
    that are tokens whole where that matters to this tokenizer.

    Raises:
        BadFile: a normaliser or a cut that no name stands for; it says what differs.
    """
    check_normaliser(inner, where)
    words = [_words(inner.pre_tokenizer, text) for text in TEXTS]
    known = {name: _of_cut(name) for name, cut in CUTS.items() if not cut.spaces_as_letters}
    alike = [name for name, theirs in known.items() if theirs == words]
    if not alike:
        raise _unknown(words, known, where)
    whole = bool(getattr(inner.model, "ignore_merges", False))
    fitting = [name for name in alike if CUTS[name].whole_words_first == whole]
    if fitting:
        return fitting[0]
    if _every_token_is_its_own_merge(inner):
        return alike[0]
    raise BadFile(
        f"the tokenizer {'takes' if whole else 'never takes'} words that are tokens whole "
        f"(ignore_merges); {', '.join(alike)} in GGUF files do the opposite",
        where=where,
        fix=_FIX,
    )


def check_normaliser(
    inner: "tokenizers.Tokenizer", where: str, written: Callable[[str], str] = str
) -> None:
    """Check that texts are changed by composing letters (NFC) at most, which GGUF leaves to users.

    written: what else may become of a text.

    Raises:
        BadFile: another change; it shows one.
    """
    if inner.normalizer is None:
        return
    for text in TEXTS:
        seen = inner.normalizer.normalize_str(text)
        if seen not in (written(text), written(unicodedata.normalize("NFC", text))):
            at = next((i for i, (a, b) in enumerate(zip(text, seen, strict=False)) if a != b), 0)
            raise BadFile(
                f"the tokenizer rewrites text before it cuts it: {text[at : at + 12]!r} becomes "
                f"{seen[at : at + 12]!r}, which no GGUF file can say",
                where=where,
                fix=_FIX,
            )


def composed(text: str) -> str:
    """Return the text with its letters composed (NFC), as some folders' normalisers do."""
    return unicodedata.normalize("NFC", text)


def _of_cut(name: str) -> Words:
    built = CUTS[name].build()
    return [_words(built, text) for text in TEXTS]


def _words(pre_tokenizer: Any, text: str) -> list[str]:
    text = composed(text)
    if pre_tokenizer is None:
        return [text]
    return [word for word, _ in pre_tokenizer.pre_tokenize_str(text)]


def _every_token_is_its_own_merge(inner: "tokenizers.Tokenizer") -> bool:
    import json

    from tokenizers import models

    said = json.loads(inner.to_str())["model"]
    pairs = [tuple(each.split(" ")) if isinstance(each, str) else each for each in said["merges"]]
    merging = models.BPE(vocab=said["vocab"], merges=[tuple(each) for each in pairs])
    return all(len(merging.tokenize(piece)) == 1 for piece in said["vocab"])


def _unknown(words: Words, known: dict[str, Words], where: str) -> BadFile:
    def shared(name: str) -> int:
        return sum(a == b for a, b in zip(words, known[name], strict=True))

    nearest = max(known, key=shared)
    at = next(i for i, each in enumerate(words) if each != known[nearest][i])
    ours, theirs = words[at], known[nearest][at]
    same = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
        min(len(ours), len(theirs)),
    )
    return BadFile(
        "the tokenizer cuts words in a way that has no name in GGUF files; the nearest, "
        f"{nearest!r}, has {_shown(theirs[same:])} where this one has {_shown(ours[same:])}",
        where=where,
        fix=_FIX,
    )


def _shown(words: list[str]) -> str:
    from tokenizers import decoders

    decoder = decoders.ByteLevel()
    return ", ".join(repr(decoder.decode([word]))[:24] for word in words[:3]) or "nothing"
