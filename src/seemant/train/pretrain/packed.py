"""Paragraphs from a packed JSON Lines file, with the rules of `read_records` for plain ones."""

from pathlib import Path

from pydantic import ValidationError

from seemant.core.errors import BadRecord
from seemant.core.jsonl import Rejected, write_records
from seemant.core.records import Paragraph
from seemant.corpus.sources import Source, stream_lines

_SHOWN = 500  # characters of a bad line that are kept


def packed_records(source: Source, rejected: Path | None) -> list[Paragraph]:
    """Return the valid paragraphs of a .jsonl.gz or .jsonl.zst file; bad lines go to `rejected`.

    The number of a bad line counts the lines that are not blank.

    Raises:
        BadFile: the packed data is damaged.
        BadRecord: no valid line is left; or a line is bad and `rejected` is None.
    """
    found: list[Paragraph] = []
    aside: list[Rejected] = []
    for number, (_, raw) in enumerate(stream_lines(source), start=1):
        try:
            found.append(Paragraph.model_validate_json(raw))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            reason = f"{field}: {first['msg']}" if field else str(first["msg"])
            shown = raw[: 4 * _SHOWN].decode("utf-8", errors="replace")[:_SHOWN]
            aside.append(Rejected(file=str(source.path), line=number, reason=reason, text=shown))
    if aside and rejected is not None:
        write_records(rejected, aside)
    if aside and (rejected is None or not found):
        raise BadRecord(
            f"{len(aside)} bad lines; the first: {aside[0].reason}",
            where=f"{source.path}:{aside[0].line}",
            fix="each line is one JSON object with id, lang and text",
        )
    return found
