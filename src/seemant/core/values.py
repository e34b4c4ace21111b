"""JSON values that stand in no lines: an array, or objects over several lines each."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from seemant.core.errors import BadFile

WRAPPERS = ("data", "rows", "items", "records", "examples", "paragraphs", "pairs")
_BETWEEN = re.compile(r"[\s,\ufeff]*")


def json_values(content: bytes, path: Path) -> Iterator[tuple[int, bytes]]:
    """Give (offset in bytes, JSON text) of each record of a JSON file, in order.

    Read are `[{...}, {...}]`, objects one after the other with or without commas between them,
    and one object that wraps a list of objects (`{"data": [...]}`).

    Raises:
        BadFile: not UTF-8, or no JSON; it says on which line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile(f"not UTF-8: {error.reason}", where=f"{path}:{line}") from error
    offset = len(content) - len(text.encode())  # a mark at the beginning
    at, last = _skip(text, 0), 0
    if array := text.startswith("[", at):
        at = _skip(text, at + 1)
    decoder = json.JSONDecoder()
    while at < len(text) and not (array and text[at] == "]"):
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            line = text.count("\n", 0, getattr(error, "pos", at)) + 1
            raise BadFile(
                f"not JSON: {getattr(error, 'msg', error)}",
                where=f"{path}:{line}",
                fix="mend the file, or write one JSON object a line",
            ) from error
        offset, last = offset + len(text[last:at].encode()), at
        following = _skip(text, end)
        wrapped = None if array or following < len(text) else _wrapped(value)
        if wrapped is not None:
            for each in wrapped:
                yield offset, json.dumps(each, ensure_ascii=False).encode(errors="surrogatepass")
            return
        yield offset, text[at:end].encode()
        at = following
    if array and at >= len(text):
        raise BadFile("a JSON array without its end", where=str(path), fix="get the whole file")
    if array and (behind := _skip(text, at + 1)) < len(text):
        raise BadFile(
            "something stands behind the end of the JSON array",
            where=f"{path}:{text.count(chr(10), 0, behind) + 1}",
            fix="write one array, or one JSON object a line",
        )


def _skip(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    assert found is not None  # it matches nothing too
    return found.end()


def _wrapped(value: object) -> list[object] | None:
    """Return the list of records that an object wraps; a chat's list of turns is none."""
    if not isinstance(value, dict):
        return None
    lists = [value[name] for name in WRAPPERS if isinstance(value.get(name), list)]
    rows = lists[0] if len(lists) == 1 else []
    return rows if rows and all(isinstance(row, dict) for row in rows) else None
