"""What makes a line a paragraph: decoding, the text field, length, language, the cap."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from seemant.core.errors import nearest
from seemant.core.records import LANGUAGES, Lang, Record, nfc
from seemant.core.sources import BOM, Source, is_json_object
from seemant.corpus.scripts import LANGUAGE_NAMES, detect_lang
from seemant.corpus.told import other_language

NOT_UTF8 = "not UTF-8"
NOT_ASKED = "no asked language"
OTHER_LANGUAGE = "another language"
_BY_SCRIPT = "by script it is "
_NAMES: dict[str, str] = dict(LANGUAGE_NAMES.items())
TOO_SHORT = "too short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which lines belong to the population.

    languages: those asked for, told by script. others: languages that are passed over silently,
        because another sample draws them; a line in any further one is set aside.
    min_characters, max_characters: shorter texts are set aside, longer ones cut.
    text_field: where the text stands in a JSON line.
    keep_others: take a line whose function words tell another language of the same script.
    """

    languages: tuple[Lang, ...] = LANGUAGES
    others: tuple[Lang, ...] = ()
    min_characters: int = 1
    max_characters: int = 5000
    text_field: str = "text"
    keep_others: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was accepted: its NFC text; `cut` when the cap took its end away."""

    source: Source
    offset: int
    text: str
    lang: Lang
    cut: bool


class SetAside(Record):
    """A line that was met and set aside: where it begins, why, and its first characters.

    `reason` is one of a few kinds, which are counted; `detail` is particular to the line.
    """

    file: str
    offset: int
    reason: str
    detail: str = ""
    text: str = ""


def judge(source: Source, offset: int, raw: bytes, rules: Rules) -> Line | SetAside | None:
    """Return the accepted line, or why it is set aside, or None when it is passed over silently.

    `raw` is the line without its ending, cut at `source.limit_bytes`.
    """

    def aside(reason: str, detail: str = "") -> SetAside:
        shown = raw[:800].decode("utf-8", errors="replace").replace("\0", "\ufffd")[:200]
        path = str(source.path)
        return SetAside(file=path, offset=offset, reason=reason, detail=detail, text=shown)

    try:
        text = _decode(raw, source.limit_bytes)
    except UnicodeDecodeError as error:
        return aside(NOT_UTF8, f"{error.reason} at byte {error.start} of the line")
    if "\0" in text:
        return aside("binary", "a NUL byte in the line")
    if source.json:
        if len(raw) >= source.limit_bytes:
            return aside("JSON line too long", f"over {source.limit_bytes} bytes")
        found = _field(text.lstrip(BOM), rules.text_field)
        if isinstance(found, _Problem):
            return aside(found.reason, found.detail)
        text = found
    elif is_json_object(text):
        return aside("JSON in a text file", "name a file that holds nothing but JSON Lines")
    text = nfc(text.replace(BOM, "").strip())
    if not text:
        return None  # blank: not a member of the population
    if len(text) < rules.min_characters:
        return aside(TOO_SHORT, f"{len(text)} characters, fewer than {rules.min_characters}")
    text, was = cut_at(text, rules.max_characters), len(text)
    lang = detect_lang(text)
    if lang is None or lang not in rules.languages:
        if lang in rules.others:
            return None
        return aside(NOT_ASKED, f"{_BY_SCRIPT}{other_language(text) or lang or 'none known'}")
    if not rules.keep_others and (told := other_language(text)):
        return aside(OTHER_LANGUAGE, told)
    return Line(source, offset, text, lang, cut=len(text) < was)


def others_in(aside: Iterable[SetAside]) -> Counter[str]:
    """Return how many lines were set aside for their language, by what each was told to be."""
    told = (
        each.detail.removeprefix(_BY_SCRIPT)
        for each in aside
        if each.reason in (NOT_ASKED, OTHER_LANGUAGE)
    )
    return Counter(_NAMES.get(name, name) for name in told)


def cut_at(text: str, n_characters: int) -> str:
    """Return the text's first `n_characters`, fewer where that would split a letter from its marks.

    A cut never falls before a combining mark or a joiner, nor after a virama or a joiner that ties
    the next letter to the last one. (A text that is nothing but marks is cut at the number.)
    """
    if len(text) <= n_characters:
        return text
    at = n_characters
    while at > 0 and (_clings(text[at]) or text[at - 1] in _TIES):
        at -= 1
    return text[: at or n_characters].rstrip()


_TIES = "\u094d\u0ccd\u200d"  # the viramas of Devanagari and Kannada; the zero-width joiner


def _clings(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character in "\u200c\u200d"


def _decode(raw: bytes, limit_bytes: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(raw) >= limit_bytes and error.reason == "unexpected end of data":
            return raw[: error.start].decode("utf-8")  # our own limit split the character
        raise


@dataclass(frozen=True, slots=True)
class _Problem:
    reason: str
    detail: str


def _field(text: str, field: str) -> str | _Problem:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _Problem("not JSON", str(error)[:200])
    if not isinstance(value, dict):
        return _Problem("not a JSON object", f"a {type(value).__name__}")
    if field not in value:
        names = [name for name in value if isinstance(value[name], str)]
        return _Problem(f"no field {field!r}", nearest(field, names) if names else "no text in it")
    if not isinstance(value[field], str):
        return _Problem(f"field {field!r} is not text", f"a {type(value[field]).__name__}")
    try:
        value[field].encode()
    except UnicodeEncodeError:
        return _Problem(NOT_UTF8, "a lone surrogate in the JSON text")
    return str(value[field])
