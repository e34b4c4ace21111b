"""Windows: every token predicted once, from its own document alone, in the same order always."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import BadFile, BadRecord
from seemant.core.records import Paragraph
from seemant.train.pretrain.documents import hold_out, read_documents
from seemant.train.pretrain.vocabulary import byte_metadata, tokenizer_of
from seemant.train.pretrain.windows import even_sizes, first_tokens, windows_of

BYTES = tokenizer_of(byte_metadata())
BEGIN_ID, END_ID = 256, 257
TEXTS = st.lists(st.text("abकಕ ", min_size=1, max_size=30), min_size=1, max_size=12)


def documents(texts: list[str]) -> list[Paragraph]:
    return [Paragraph(id=f"d{i}", lang="en", text=text) for i, text in enumerate(texts)]


@given(TEXTS, st.integers(1, 40))
def test_each_document_s_windows_predict_it_whole_once_and_in_order(
    texts: list[str], context: int
) -> None:
    rows = windows_of(documents(texts), BYTES, context)
    predicted: dict[str, list[int]] = {}
    seen: dict[str, list[int]] = {}
    for row in rows:
        assert 1 <= len(row.ids) == len(row.targets) == row.n_answer <= context
        assert row.ids[1:] == row.targets[:-1]  # contiguous
        predicted.setdefault(row.key, []).extend(row.targets)
        seen.setdefault(row.key, []).extend(row.ids)
    for document in documents(texts):
        whole = list(document.text.encode())
        assert predicted[document.id] == [*whole, END_ID]
        assert seen[document.id] == [BEGIN_ID, *whole]
    assert rows.n_tokens == sum(len(text.encode()) + 1 for text in texts)
    assert list(rows.lengths) == [len(row.ids) for row in rows]


@given(st.integers(1, 500), st.integers(1, 64))
def test_sizes_are_even_and_as_few_as_can_be(n: int, most: int) -> None:
    sizes = even_sizes(n, most)
    assert sum(sizes) == n and max(sizes) - min(sizes) <= 1
    assert max(sizes) <= most and (len(sizes) - 1) * most < n


def test_rows_are_made_when_asked_for_and_slices_agree() -> None:
    rows = windows_of(documents(["abc", "de", "fghij"]), BYTES, 4)
    assert len(rows) == 1 + 1 + 2
    assert rows[1:3] == [rows[1], rows[2]] == list(rows)[1:3]
    assert rows[-1].targets[-1] == END_ID
    assert windows_of([], BYTES, 4).n_tokens == 0


def test_first_tokens_are_counted_for_each_language_alone() -> None:
    some = [Paragraph(id=str(i), lang=lang, text="abcd") for i in range(6) for lang in ("hi", "en")]
    kept = first_tokens(some, BYTES, 11)  # a document is 6 ids with its ends: two reach 11
    assert [(each.id, each.lang) for each in kept] == [
        ("0", "hi"), ("0", "en"), ("1", "hi"), ("1", "en"),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(["hi", "en"]), st.text("ab", min_size=1, max_size=4))),
    st.floats(0, 0.9),
)
def test_equal_texts_are_never_on_both_sides(given: list[tuple[str, str]], share: float) -> None:
    every = [Paragraph(id=str(i), lang=lang, text=text) for i, (lang, text) in enumerate(given)]
    train, held = hold_out(every, share, 3)
    assert sorted(int(each.id) for each in [*train, *held]) == list(range(len(every)))
    for lang in ("hi", "en"):
        inside = {each.text for each in held if each.lang == lang}
        assert not inside & {each.text for each in train if each.lang == lang}
        n = len({each.text for each in every if each.lang == lang})
        assert len(inside) == (min(max(round(share * n), 1), n - 1) if share and n else 0)


def test_a_text_file_s_lines_are_documents_in_their_script_s_language(tmp_path: Path) -> None:
    path = tmp_path / "mix.txt"
    path.write_text("कमल खिला\n\nthe rain\n12345\nಮಳೆ ಬಂತು\n", encoding="utf-8")
    found = read_documents(path, languages=None, heldout_share=0, seed=0)
    assert [(each.lang, each.text) for each in found.train] == [
        ("hi", "कमल खिला"), ("en", "the rain"), ("kn", "ಮಳೆ ಬಂತು"),
    ]  # fmt: skip
    assert found.languages == ("hi", "kn", "en") and sum(found.aside.values()) == 1
    only = read_documents(path, languages=("en",), heldout_share=0, seed=0)
    assert len(only.train) == 4 and {each.lang for each in only.train} == {"en"}
    with pytest.raises(BadFile):
        read_documents(tmp_path / "none.txt", languages=None, heldout_share=0, seed=0)
    path.write_text("123\n456\n")
    with pytest.raises(BadRecord, match="2 in no known script"):
        read_documents(path, languages=None, heldout_share=0, seed=0)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson"])
def test_a_packed_file_of_paragraphs_is_read_as_the_plain_one_is(
    packing: str, suffix: str, tmp_path: Path
) -> None:
    lines = [json.dumps({"id": each, "lang": "en", "text": each}) for each in ("one", "two")]
    raw = "\n".join([*lines, "{broken"]).encode()
    plain = tmp_path / f"text{suffix}"
    plain.write_bytes(raw)
    if packing == "gzip":
        packed, data = tmp_path / f"text{suffix}.gz", gzip.compress(raw)
    else:
        packed = tmp_path / f"text{suffix}.zst"
        data = pytest.importorskip("zstandard").ZstdCompressor().compress(raw)
    packed.write_bytes(data)
    bad = tmp_path / "rejected.jsonl"
    both = []
    for path in (plain, packed):
        found = read_documents(path, languages=None, heldout_share=0, seed=0, rejected=bad)
        said = json.loads(bad.read_text())
        assert said.pop("file") == str(path)
        both.append(([each.text for each in found.train], said))
    assert both[0] == both[1] and both[0][0] == ["one", "two"]
    with pytest.raises(BadRecord, match=r"Invalid JSON(?s:.*):3"):
        read_documents(packed, languages=None, heldout_share=0, seed=0)


def test_a_line_in_which_nothing_can_be_seen_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\u200b\n\ufeff\n\u00a0\n \u200b\ufeff \nthe rain\n", encoding="utf-8")
    for languages in (("en",), None):
        found = read_documents(path, languages=languages, heldout_share=0, seed=0)
        assert [each.text for each in found.train] == ["the rain"]
        assert found.aside == {"without a visible character": 4}
    path = tmp_path / "text.jsonl"
    some = [{"id": text, "lang": "hi", "text": text} for text in ("\u200b", "क\u200d")]
    path.write_text("".join(json.dumps(each) + "\n" for each in some))
    found = read_documents(path, languages=None, heldout_share=0, seed=0)
    assert [each.text for each in found.train] == ["क\u200d"]


def test_special_tokens_written_in_a_text_are_its_letters() -> None:
    text = "say <|begin|> then <|end|> and stop"
    [row] = windows_of(documents([text]), BYTES, 64)
    assert list(row.targets) == [*text.encode(), END_ID]
    assert BEGIN_ID not in row.ids[1:]
    assert END_ID in BYTES.encode("<|end|>")  # the tokenizer itself reads them as before
    assert len(first_tokens(documents([text] * 3), BYTES, len(text) + 1)) == 1


def test_a_corpus_artefact_keeps_its_own_held_out_part(tmp_path: Path) -> None:
    parts = {"distil": ["one", "two"], "calibration": ["three"], "heldout": ["four"]}
    for name, texts in parts.items():
        lines = [json.dumps({"id": text, "lang": "en", "text": text}) + "\n" for text in texts]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    found = read_documents(tmp_path, languages=None, heldout_share=0.5, seed=0)
    assert [each.id for each in found.train] == ["one", "two", "three"]
    assert [each.id for each in found.heldout] == ["four"]
    (tmp_path / "heldout.jsonl").write_text("")  # a part of a small corpus may be empty
    assert read_documents(tmp_path, languages=None, heldout_share=0, seed=0).heldout == []
    with pytest.raises(BadRecord, match="3 in another language"):
        read_documents(tmp_path, languages=("hi",), heldout_share=0, seed=0)


def test_the_same_text_gives_the_same_windows_however_it_is_batched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from seemant.train.pretrain import windows

    some = documents([f"text number {i} " * (1 + i % 5) for i in range(40)])
    first = windows_of(some, BYTES, 16)
    monkeypatch.setattr(windows, "_AT_ONCE", 3)
    again = windows_of(some, BYTES, 16)
    for name in ("ids", "starts", "lengths", "document"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
