"""Markup that cannot be injected into: everything is escaped unless this file made it."""

import re
from collections.abc import Iterable
from html import escape

# Characters that a reader cannot see but that change what they see: shown as their code instead.
# Kept: tab, line feed, and the zero-width joiners that Devanagari and Kannada are written with.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks: they reorder other text
    "\u2028\u2029\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # lone surrogates: no UTF-8 file can hold them
    "\U000e0000-\U000e007f]"  # tags: invisible letters
)
_VOID = frozenset({"br", "hr", "input", "link", "meta", "wbr"})


class Html(str):
    """Text that is markup already. Only `el`, `text` and `join` make it."""

    __slots__ = ()


Child = Html | str | int | float | None


def el(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """Return an element; children that are not `Html` are escaped, None is left out.

    Attribute names: a trailing underscore is dropped (`class_`), other underscores become hyphens.
    An attribute that is None or False is left out; True stands without a value.
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Html:
    """Return children side by side, each escaped unless it is markup."""
    return Html(text(between).join(text(child) for child in children if child is not None))


def text(value: Child) -> Html:
    """Return a value as markup that shows it, unseen characters as ⟨U+XXXX⟩."""
    if isinstance(value, Html):
        return value
    shown = _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", str(value))
    return Html(escape(shown, quote=True))


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
