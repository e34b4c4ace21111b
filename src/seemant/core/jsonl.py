"""Reading and writing records as JSON Lines; a bad line is set aside, counted, never dropped.

Records that people bring may as well be a JSON array, a table, or packed (`core.sources`).
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from seemant.core.atomic import write_atomic
from seemant.core.errors import BadFile, BadRecord
from seemant.core.records import Record
from seemant.core.sources import BOM, numbered_lines, open_source

_LONGEST_LINE_BYTES = 1 << 28
R = TypeVar("R", bound=Record)


class Rejected(Record):
    """A line that was set aside: where it stood, why, and its first characters."""

    file: str
    line: int
    reason: str
    text: str


def read_records(
    path: Path,
    kind: type[R],
    *,
    rejected: Path | None = None,
    tolerant: bool = False,
    read: Callable[[str], R] | None = None,
    needs: str | None = None,
) -> list[R]:
    """Return the file's valid records, in order; bad lines go to the file `rejected`.

    tolerant: bad lines are passed over without a file, as another process writes it.
    read: makes a record of a line's JSON, in place of `kind`'s own fields; it raises ValueError.
    needs: what a line must hold, in words; None names the required fields.

    Raises:
        BadFile: the file is missing, binary, or neither JSON nor a table.
        BadRecord: no valid line is left (exit 2); or a line is bad and neither `rejected`
            nor `tolerant` is given.
    """
    read = read or kind.model_validate_json
    records: list[R] = []
    aside: list[Rejected] = []
    source = open_source(path, records=True)
    for number, _, raw in numbered_lines(source, _LONGEST_LINE_BYTES):
        try:
            text = raw.decode("utf-8").lstrip(BOM)
            if text and not text.isspace():
                records.append(read(text))
        except UnicodeDecodeError as error:
            aside.append(_reject(path, number, f"not UTF-8: {error.reason}", raw))
        except ValidationError as error:
            aside.append(_reject(path, number, _reason(error), raw))
        except ValueError as error:
            aside.append(_reject(path, number, str(error), raw))
    needs = needs or f"each line is one JSON object with {', '.join(_required(kind))}"
    if aside and rejected is None and not tolerant:
        first = aside[0]
        raise BadRecord(first.reason, where=f"{path}:{first.line}", fix=f"mend the line: {needs}")
    if rejected is not None and aside:
        write_records(rejected, aside)
    if not records:
        where = f"{path}:{aside[0].line}" if aside else str(path)
        raise BadRecord(
            f"no valid {kind.__name__.lower()} in the file"
            + (f" ({len(aside)} bad lines; the first: {aside[0].reason})" if aside else ""),
            where=where,
            fix=needs,
        )
    return records


def write_records(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records, one JSON object a line, as a whole file or not at all."""
    write_atomic(path, "".join(record.model_dump_json() + "\n" for record in records))


def read_json(path: Path) -> Any:
    """Return a JSON file's value.

    Raises:
        BadFile: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise BadFile("no such file", where=str(path)) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadFile(f"not a JSON file: {error}", where=str(path)) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as an indented JSON file, whole or not at all."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _reject(path: Path, line: int, reason: str, raw: bytes) -> Rejected:
    text = raw.decode("utf-8", errors="replace").rstrip("\n")[:500]
    return Rejected(file=str(path), line=line, reason=reason, text=text)


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else str(first["msg"])


def _required(kind: type[Record]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if field.is_required()]
