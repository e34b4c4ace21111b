"""Tables as records: CSV, TSV and Parquet, a JSON object a row."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile

PARQUET = b"PAR1"
_DELIMITERS = ",;\t|"


def csv_rows(content: bytes, path: Path, *, tabs: bool) -> Iterator[tuple[int, bytes]]:
    """Give (number of the row's last line, JSON object) for each row under a header.

    An empty cell is null. tabs: cells are parted by tabs; else by what parts the header: a comma,
    a semicolon, a tab or a bar.

    Raises:
        BadFile: not UTF-8, a header with an empty or a repeated name, a row that does not fit.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile(
            f"not UTF-8: {error.reason}",
            where=f"{path}:{line}",
            fix="save it as CSV UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW",
        ) from error
    csv.field_size_limit(sys.maxsize)
    first = text.lstrip().partition("\n")[0]
    delimiter = "\t" if tabs else max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = _header(row, f"{path}:{reader.line_num}")
                continue
            if len(row) != len(header):
                raise BadFile(
                    f"{len(row)} cells under a header of {len(header)}",
                    where=f"{path}:{reader.line_num}",
                    fix=f'put cells that hold {delimiter!r} or a line end in "quotes"',
                )
            cells = {name: cell or None for name, cell in zip(header, row, strict=True)}
            yield reader.line_num, json.dumps(cells, ensure_ascii=False).encode()
    except csv.Error as error:
        raise BadFile(f"not CSV: {error}", where=f"{path}:{reader.line_num}") from error


def _header(row: list[str], where: str) -> list[str]:
    names = [cell.strip() for cell in row]
    if "" in names or len(set(names)) < len(names):
        raise BadFile(
            f"the table's first line names its columns, and this one cannot: {', '.join(names)}",
            where=where,
            fix="begin with a line of names, each once",
        )
    return names


def parquet_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Give (number, JSON object) for each row of a Parquet file.

    Raises:
        BadFile: it cannot be read.
    """
    import polars

    try:
        frame = polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise BadFile(f"a Parquet file that cannot be read: {error}", where=str(path)) from error
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        yield number, json.dumps(row, ensure_ascii=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
