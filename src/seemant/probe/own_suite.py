"""A user's own questions as probes: JSON Lines, or a table (CSV, TSV) with a line of names.

    question,answer,lang
    "भारत की राजधानी क्या है?","नई दिल्ली|दिल्ली",hi

Only a question and its answer are needed. Everything else is filled in, as docs/probe.md says.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seemant.core.errors import BadFile, BadRecord, nearest
from seemant.core.jsonl import Rejected, write_records
from seemant.core.records import LANGUAGES, Lang, Probe
from seemant.corpus.scripts import LANGUAGE_NAMES, detect_lang
from seemant.probe.normalise import normalise

CATEGORY = "own"
N_BORROWED = 3  # as many distractors as most of the shipped families have
_NAMES = {
    "question": ("question", "q", "prompt", "instruction", "query"),
    "accepted": ("accepted", "answer", "answers", "a", "output", "response", "expected"),
    "distractors": ("distractors", "distractor", "wrong", "wrong_answers"),
    "lang": ("lang", "language"),
    "id": ("id", "family"),
    "category": ("category", "subject", "topic"),
    "known_stable_since": ("known_stable_since",),
}
_SEVERAL = "|"  # between the answers of one cell

Row = tuple[int, Mapping[str, Any] | str, str]  # line, fields or why not, the text


def read_own(path: Path, *, rejected: Path | None = None) -> list[Probe]:
    """Return a user's questions, in order; bad lines go to `rejected` with their numbers.

    A question without an id is its own family, by its line. A question without wrong answers
    borrows up to three right answers of other questions in its language.

    Raises:
        BadFile: the file is missing, no text, or a table without the two columns.
        BadRecord: no good line is left; or a line is bad and there is no `rejected`.
    """
    text = _text(path)
    rows = list(_json_rows(text) if text.lstrip()[:1] in ("{", "[") else _table_rows(text, path))
    probes: list[tuple[Probe, bool]] = []
    aside: list[Rejected] = []
    for line, fields, raw in rows:
        try:
            if isinstance(fields, str):
                raise BadRecord(fields)
            probes.append(_probe(line, fields))
        except (BadRecord, ValidationError) as error:
            reason = error.what if isinstance(error, BadRecord) else _first(error)
            aside.append(Rejected(file=str(path), line=line, reason=reason, text=raw[:500]))
    if aside and (rejected is None or not probes):
        bad = aside[0]
        more = f" ({len(aside) - 1} more lines are bad)" if len(aside) > 1 else ""
        raise BadRecord(f"{bad.reason}{more}", where=f"{path}:{bad.line}", fix=_FORM)
    if aside and rejected is not None:
        write_records(rejected, aside)
    if not probes:
        raise BadRecord("no question in the file", where=str(path), fix=_FORM)
    return _with_distractors(probes)


_FORM = "a question and its answer a line: CSV with the columns question,answer, or JSON Lines"


def _text(path: Path) -> str:
    if not path.is_file():
        what = "a folder where a file is expected" if path.is_dir() else "no such file"
        raise BadFile(what, where=str(path), fix="name a .csv or .jsonl file of questions")
    data = path.read_bytes()
    if b"\0" in data[:8192]:
        fix = "save it as CSV in UTF-8 (not as a spreadsheet, not as UTF-16)"
        raise BadFile("a binary file where questions are expected", where=str(path), fix=fix)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fix = "save it as UTF-8"
        raise BadFile(f"not UTF-8: {error.reason}", where=f"{path}:{line}", fix=fix) from error


def _json_rows(text: str) -> Iterator[Row]:
    if text.lstrip().startswith("["):  # a whole list, as many tools export it
        try:
            value = json.loads(text)
        except ValueError as error:
            yield 1, f"not JSON: {error}", text
            return
        for number, each in enumerate(value, start=1):
            yield number, each if isinstance(each, dict) else "not a JSON object", str(each)
        return
    for line, raw in enumerate(text.splitlines(), start=1):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw)
        except ValueError as error:
            yield line, f"not JSON: {error}", raw
            continue
        yield line, value if isinstance(value, dict) else "not a JSON object", raw


def _table_rows(text: str, path: Path) -> Iterator[Row]:
    first = text.lstrip("\r\n").partition("\n")[0]
    mark = max("\t;,", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    names: list[str] = []
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                _check_names(names, path)
                continue
            raw = mark.join(cells)
            if len(cells) > len(names):
                yield line, f"{len(cells)} cells under {len(names)} names: quote commas", raw
            else:
                yield line, dict(zip(names, cells, strict=False)), raw
    except csv.Error as error:
        raise BadFile(f"not a table: {error}", where=f"{path}:{reader.line_num}") from error


def _check_names(names: Sequence[str], path: Path) -> None:
    for field in ("question", "accepted"):
        if not any(name in _NAMES[field] for name in names):
            wanted = "answer" if field == "accepted" else field
            shown = ", ".join(names)[:80]
            raise BadFile(
                f"no column {wanted!r} in the first line: {shown}",
                where=f"{path}:1",
                fix=f"name the columns question,answer in the first line; {nearest(wanted, names)}",
            )


def _probe(line: int, fields: Mapping[str, Any]) -> tuple[Probe, bool]:
    """Return the probe of a row, and whether its wrong answers are to be borrowed."""
    given = {key: _field(fields, key) for key in _NAMES}
    question = str(given["question"] or "").strip()
    if not question:
        raise BadRecord("no question")
    accepted = _listed(given["accepted"])
    if not accepted and given["accepted"] != []:  # an empty list says: there is no stable answer
        raise BadRecord("no answer")
    lang = _lang(given["lang"], question)
    family = str(given["id"] or f"line-{line}")
    named = family.rpartition(".")[2] in LANGUAGES  # a wrong one is refused with all ids
    return Probe(
        id=family if named else f"{family}.{lang}",
        lang=lang,
        category=str(given["category"] or CATEGORY),
        question=question,
        accepted=accepted,
        distractors=_listed(given["distractors"]),
        known_stable_since=given["known_stable_since"],
    ), given["distractors"] in (None, "") and bool(accepted)  # [] says: none are wanted


def _field(fields: Mapping[str, Any], key: str) -> Any:
    for name, value in fields.items():
        if str(name).strip().lower() in _NAMES[key]:
            return value
    return None


def _listed(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list | tuple) else str(value or "").split(_SEVERAL)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def _lang(value: Any, question: str) -> Lang:
    codes: dict[str, Lang] = {}
    for lang in LANGUAGES:
        codes |= {lang: lang, LANGUAGE_NAMES[lang].lower(): lang}
    if value not in (None, ""):
        word = str(value).strip().lower()
        if word not in codes:
            raise BadRecord(f"the language {value!r} is not carried: one of {', '.join(LANGUAGES)}")
        return codes[word]
    found = detect_lang(question)
    if found is None:
        raise BadRecord("the question is in none of Hindi, Kannada and English by its script")
    return found


def _with_distractors(probes: Sequence[tuple[Probe, bool]]) -> list[Probe]:
    rights = {lang: [p for p, _ in probes if p.lang == lang and p.accepted] for lang in LANGUAGES}
    made = []
    for probe, borrows in probes:
        if borrows:
            probe = probe.model_copy(update={"distractors": _borrowed(probe, rights[probe.lang])})
        made.append(probe)
    return made


def _borrowed(probe: Probe, others: Sequence[Probe]) -> tuple[str, ...]:
    own = {normalise(each) for each in probe.accepted}
    at = others.index(probe)
    found: dict[str, str] = {}
    for other in [*others[at + 1 :], *others[:at]]:
        key = normalise(other.accepted[0])
        if key not in own:
            found.setdefault(key, other.accepted[0])
    return tuple(found.values())[:N_BORROWED]


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
