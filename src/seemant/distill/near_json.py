"""Near-JSON as models write it, mended: single quotes, bare keys, quotes inside, no last brace."""

import json
from collections.abc import Sequence

import regex

_OPEN, _CLOSE = "\"'“”‘’`", {"“": "”“", "‘": "’‘", "”": "”"}
_NEXT_KEY = r"[\"'“‘]?[\p{L}_]+[\"'”’]?\s*[:=]"
_GAP = r"(?:[\s,]|//[^\n]*\n)*"  # a comma too many, a comment
_INNER_KEY = regex.compile(r"[\"'“”]\s*:\s*[\"'“”]")
_MOST_CHARACTERS = 20_000


def mended(text: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the texts that stand behind these keys in an object that is nearly JSON.

    A text begins with a quote behind its key and a colon, and ends with the same quote where the
    object goes on or ends: before a comma and another key, before a brace, at the end. One that
    is cut off is left out.
    """
    text = text[text.find("{") :][:_MOST_CHARACTERS] if "{" in text else ""
    found: dict[str, str] = {}
    names = "|".join(regex.escape(key) for key in keys)
    for key in regex.finditer(
        rf"[{{,\s][\"'“‘]?({names})[\"'”’]?\s*[:=]\s*([{_OPEN}])", text, regex.I
    ):
        closing = regex.escape(_CLOSE.get(key[2], key[2]))
        end = rf"(?<!\\)[{closing}]\s*(?:,{_GAP}{_NEXT_KEY}|,?\s*\}}|,?\s*(?:```)?\s*$)"
        ended = regex.search(end, text, pos=key.end(), flags=regex.VERSION0)
        if ended is not None and key[1].lower() not in found:
            value = _unescaped(text[key.end() : ended.start()])
            if not _INNER_KEY.search(value):  # else the end was missed, and a key swallowed
                found[key[1].lower()] = value
    return found


def _unescaped(inner: str) -> str:
    quoted = regex.sub(r'(?<!\\)"', '\\"', inner.replace("\\'", "'"))
    try:
        return str(json.loads(f'"{quoted}"', strict=False))
    except ValueError:
        return inner
