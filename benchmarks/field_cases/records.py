"""Files of paragraphs and of pairs, in the forms and packings in which people have them."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from typing import Any

import zstandard

from field_cases.place import Case, Place, refused, went_well

SMALL = "embedded:smollm2-135m-instruct"


def _rows(place: Place, name: str = "paragraphs.jsonl") -> list[dict[str, Any]]:
    text = (place.inputs / name).read_text(encoding="utf-8-sig")
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _sampled(
    name: str, make: Callable[[Place], bytes] | None, n: int = 6
) -> Callable[[Place], str | None]:
    """Sample a file and look at every paragraph: all texts there, none of them JSON."""

    def check(place: Place) -> str | None:
        if make:
            (place.inputs / name).write_bytes(make(place))
        done = place.seemant("corpus", "sample", name, "--n", "6", "--out", "w/c")
        if wrong := went_well(done):
            return wrong
        found = {row["text"] for row in _rows(place, "w/c/paragraphs.jsonl")}
        wanted = {row["text"] for row in _rows(place)}
        raw = [text for text in found if "{" in text]
        if raw:
            return f"JSON in a paragraph: {raw[0][:80]!r}"
        return None if len(found) == n and found <= wanted else f"{len(found)} of {n} paragraphs"

    return check


def _lines(place: Place) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(place)).encode()


def _pzstd(data: bytes) -> bytes:
    parts = [data[at : at + 500] for at in range(0, len(data), 500)]
    frames = [zstandard.ZstdCompressor().compress(part) for part in parts]
    head = b"\x51\x2a\x4d\x18\x04\x00\x00\x00"
    return b"".join(head + len(each).to_bytes(4, "little") + each for each in frames)


def _table(place: Place) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", "lang", "text"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_rows(place))
    return out.getvalue().encode("utf-8-sig")


def _distilled(name: str, make: Callable[[Place], bytes] | None) -> Callable[[Place], str | None]:
    def check(place: Place) -> str | None:
        if make:
            (place.inputs / name).write_bytes(make(place))
        with place.teacher("good") as teacher:
            done = place.seemant(
                "distill", name, "--teacher", teacher, "--languages", "hi", "--out", "w/d"
            )
        if wrong := went_well(done):
            return wrong
        if (place.w / "d" / "rejected.jsonl").exists():
            return "a line was rejected"
        n = len(_rows(place, "w/d/pairs.jsonl"))
        return None if n == 6 else f"{n} pairs of 6 paragraphs"

    return check


def _learned(
    name: str, make: Callable[[Place], str | bytes] | None, word: str
) -> Callable[[Place], str | None]:
    """Show the first batch of a file of pairs; the answer must be what is learned."""

    def check(place: Place) -> str | None:
        if make:
            made = make(place)
            (place.inputs / name).write_bytes(made.encode() if isinstance(made, str) else made)
        done = place.seemant("train", SMALL, name, "--languages", "hi", "--show-batch")
        if wrong := went_well(done):
            return wrong
        return None if f"learned: {word}" in done.out else f"not learned: {done.out[-200:]!r}"

    return check


def _read_all(
    name: str, n: int, make: Callable[[Place], str] | None = None
) -> Callable[[Place], str | None]:
    """Read a file of pairs by `read_records`, strictly, as the shared README allows."""

    def check(place: Place) -> str | None:
        if make:
            (place.inputs / name).write_text(make(place))
        code = (
            "import sys; from pathlib import Path; from seemant.core.jsonl import read_records;"
            "from seemant.core.records import Pair;"
            "p = read_records(Path(sys.argv[1]), Pair); print(len(p), *[x.id for x in p])"
        )
        done = place.python("-c", code, name)
        return went_well(done) or (None if done.out.startswith(f"{n} 17 ") else done.out)

    return check


def _not_trained(name: str, text: str, *words: str) -> Callable[[Place], str | None]:
    def check(place: Place) -> str | None:
        (place.inputs / name).write_text(text)
        return refused(place.seemant("train", SMALL, name, "--out", "w/t", "--steps", "1"), *words)

    return check


def _chat(place: Place, list_name: str, role: str, content: str, names: tuple[str, str]) -> str:
    rows = [
        {
            list_name: [
                {role: names[0], content: r["instruction"]},
                {role: names[1], content: r["output"]},
            ]
        }
        for r in _rows(place, "pairs_nulls.jsonl")
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _renamed(place: Place, question: str, answer: str) -> list[dict[str, str]]:
    rows = _rows(place, "pairs_nulls.jsonl")
    return [{question: row["instruction"], answer: row["output"]} for row in rows]


def _pairs_csv(place: Place, dialect: str) -> bytes:
    out = io.StringIO()
    rows = _renamed(place, "Question", "Answer")
    writer = csv.DictWriter(out, rows[0], dialect=dialect)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _utf16(place: Place) -> str | None:
    text = (place.inputs / "paragraphs.jsonl").read_text()
    (place.inputs / "u.jsonl").write_bytes(text.encode("utf-16"))
    done = place.seemant("corpus", "sample", "u.jsonl", "--out", "w/c")
    return refused(done, "UTF-16", "iconv")


def _nulls(place: Place) -> str:
    text = (place.inputs / "pairs_nulls.jsonl").read_text()
    return text.replace("null", "NaN").replace('"id": 17', '"id": 17.0')


FIRST = "पवोरा नहर"
CASES = [
    Case("1", "paragraphs with a byte order mark", _distilled("paragraphs_bom.jsonl", None)),
    Case(
        "1",
        "a mark, CRLF",
        _distilled("p.jsonl", lambda p: b"\xef\xbb\xbf" + _lines(p).replace(b"\n", b"\r\n")),
    ),
    Case(
        "1",
        "two marked files in one",
        _distilled(
            "p.jsonl", lambda p: b"\xef\xbb\xbf" + _lines(p).replace(b"\n", b"\n\xef\xbb\xbf", 2)
        ),
    ),
    Case(
        "1",
        "a marked array",
        _distilled("p.json", lambda p: b"\xef\xbb\xbf" + json.dumps(_rows(p), indent=1).encode()),
    ),
    Case("1", "a marked CSV", _distilled("p.csv", _table)),
    Case("1", "pairs with a mark", _learned("pairs_bom.jsonl", None, "")),
    Case("1", "UTF-16", _utf16),
    Case("2", "nulls and numbers", _read_all("pairs_nulls.jsonl", 6)),
    Case("2", "NaN and 17.0", _read_all("n.jsonl", 6, _nulls)),
    Case("2", "shown to learn", _learned("pairs_nulls.jsonl", None, FIRST)),
    Case("25", "crawl.jl", _sampled("crawl.jl", None)),
    Case("25", "crawl.jsonlines", _sampled("crawl.jsonlines", None)),
    *[
        Case("25", f"JSON Lines as {name}", _sampled(name, _lines))
        for name in ("x.txt", "x", "x.ndjson", "x.log")
    ],
    Case("25", "an array", _sampled("x.txt", lambda p: json.dumps(_rows(p)).encode())),
    Case(
        "25",
        "jq's own form",
        _sampled("x.txt", lambda p: "\n".join(json.dumps(r, indent=2) for r in _rows(p)).encode()),
    ),
    Case(
        "25",
        "wrapped in data",
        _sampled("x.json", lambda p: json.dumps({"data": _rows(p)}).encode()),
    ),
    Case("25", "a CSV", _sampled("x.csv", _table)),
    Case(
        "25",
        "JSON among text",
        _sampled(
            "x.txt",
            lambda p: (
                "".join(r["text"] + "\n" for r in _rows(p)).encode()
                + _lines(p)[: _lines(p).index(b"\n")]
            ),
        ),
    ),
    Case("29", "pzstd", _sampled("pzstd.jsonl.zst", None)),
    Case("29", "skippable frames between", _sampled("z.txt", lambda p: _pzstd(_lines(p)))),
    Case(
        "29",
        "gzip, two members, no name",
        _sampled("z", lambda p: gzip.compress(_lines(p)[:700]) + gzip.compress(_lines(p)[700:])),
    ),
    Case("29", "bzip2 called .zst", _sampled("z.zst", lambda p: bz2.compress(_lines(p)))),
    Case("29", "xz", _sampled("z.jsonl.xz", lambda p: lzma.compress(_lines(p)))),
    Case("29", "distilled from xz", _distilled("z.bin", lambda p: lzma.compress(_lines(p)))),
    Case(
        "pairs",
        "messages",
        _learned(
            "c.jsonl",
            lambda p: _chat(p, "messages", "role", "content", ("user", "assistant")),
            FIRST,
        ),
    ),
    Case(
        "pairs",
        "ShareGPT",
        _learned(
            "c.jsonl", lambda p: _chat(p, "conversations", "from", "value", ("human", "gpt")), FIRST
        ),
    ),
    Case(
        "pairs",
        "prompt and completion",
        _learned("c.json", lambda p: json.dumps(_renamed(p, "prompt", "completion")), FIRST),
    ),
    Case(
        "pairs",
        "question and answer",
        _learned(
            "c.jsonl",
            lambda p: "\n".join(map(json.dumps, _renamed(p, "question", "answer"))),
            FIRST,
        ),
    ),
    Case("pairs", "CSV", _learned("c.csv", lambda p: _pairs_csv(p, "excel"), FIRST)),
    Case("pairs", "TSV", _learned("c.tsv", lambda p: _pairs_csv(p, "excel-tab"), FIRST)),
    Case(
        "pairs",
        "bare text",
        _not_trained("t.jsonl", '{"text": "नहर"}\n', "no question", "messages"),
    ),
    Case(
        "pairs",
        "a long chat",
        _not_trained(
            "t.jsonl",
            json.dumps(
                {"messages": [{"role": r, "content": "नहर"} for r in ("user", "assistant") * 2]}
            ),
            "split it",
        ),
    ),
    Case(
        "pairs",
        "preferences",
        _not_trained("t.jsonl", '{"prompt": "नहर?", "chosen": "क", "rejected": "ख"}\n', "chosen"),
    ),
    Case(
        "pairs",
        "lines of text",
        _not_trained("t.txt", "नहर\nनाव\n", "not JSON", "question and answer"),
    ),
]
