import json
from pathlib import Path

import pytest

from seemant.core.errors import BadFile, BadRecord
from seemant.core.jsonl import read_json, read_records
from seemant.core.records import Paragraph
from seemant.core.stage import Done, execute
from seemant.corpus.config import CorpusConfig
from seemant.corpus.fingerprint import corpus_inputs
from seemant.corpus.rules import SetAside
from seemant.corpus.run import STAGE
from seemant.corpus.shipped import shipped
from seemant.corpus.splits import SPLITS, split_of

MIXED = [
    *(f"यह हिन्दी का वाक्य क्रमांक {i} है।" for i in range(60)),
    *(f"ಇದು ಕನ್ನಡದ {i}ನೇ ವಾಕ್ಯ." for i in range(25)),
    *(f"This is sentence number {i}." for i in range(40)),
    "தமிழ் வரி",
]


def corpus(tmp_path: Path, *files: Path, **settings: object) -> Done:
    config = CorpusConfig.model_validate(settings)
    return execute(STAGE, config, corpus_inputs(files), store=tmp_path / "runs")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.txt"
    path.write_text("\n".join(MIXED) + "\n")
    return path


def test_the_shipped_corpus_is_taken_whole_by_default(tmp_path: Path) -> None:
    done = corpus(tmp_path)
    found = read_records(done.path / "paragraphs.jsonl", Paragraph)
    assert found == [p for lang in ("hi", "kn", "en") for p in shipped(lang)]
    assert done.manifest.inputs["files/hi"].label == "seemant:corpus/hi.jsonl"


def test_the_parts_are_a_partition_by_id(tmp_path: Path) -> None:
    done = corpus(tmp_path)
    everything = read_records(done.path / "paragraphs.jsonl", Paragraph)
    parts = {name: read_records(done.path / f"{name}.jsonl", Paragraph) for name in SPLITS}
    assert sum(len(part) for part in parts.values()) == len(everything)
    for name, part in parts.items():
        assert all(split_of(paragraph.id) == name for paragraph in part)


def test_per_language_draws_that_many_of_each(tmp_path: Path, mixed: Path) -> None:
    for files in ((), (mixed,)):
        done = corpus(tmp_path, *files, per_language=20, languages=["kn", "hi"])
        found = read_records(done.path / "paragraphs.jsonl", Paragraph)
        assert [p.lang for p in found] == ["kn"] * 20 + ["hi"] * 20
        counts = {m.lang: m.value for m in done.manifest.measurements if m.metric == "paragraphs"}
        assert counts == {"kn": 20, "hi": 20}


def test_paragraphs_of_files_carry_a_content_id_their_source_and_offset(
    tmp_path: Path, mixed: Path
) -> None:
    done = corpus(tmp_path, mixed, n=30)
    data = mixed.read_bytes()
    for paragraph in read_records(done.path / "paragraphs.jsonl", Paragraph):
        assert paragraph.source == str(mixed)
        assert paragraph.offset is not None
        assert data[paragraph.offset :].startswith(paragraph.text.encode())
        lang, digits = paragraph.id.split("-")
        assert lang == paragraph.lang
        assert len(digits) == 12


def test_too_few_lines_of_a_language_are_all_taken_with_a_note(tmp_path: Path, mixed: Path) -> None:
    done = corpus(tmp_path, mixed, per_language=50, languages=["hi", "kn"])
    stats = read_json(done.path / "stats.json")
    assert stats["languages"]["kn"]["paragraphs"] == 25
    assert "hold 25" in stats["notes"][0]
    assert stats["set_aside"] == {"no asked language": 41}


def test_a_language_that_is_absent_is_noted_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "hi.txt").write_text("केवल हिन्दी\nऔर कुछ नहीं\n")
    done = corpus(tmp_path, tmp_path / "hi.txt", per_language=2)
    stats = read_json(done.path / "stats.json")
    assert list(stats["languages"]) == ["hi"]
    assert len(stats["notes"]) == 2


def test_bad_lines_are_listed_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("अच्छी पंक्ति\n".encode() + b"\xff\xfe\n" + b"12\n" * 3)
    done = corpus(tmp_path, tmp_path / "a.txt")
    rejected = read_records(done.path / "rejected.jsonl", SetAside)
    assert sorted(line.reason for line in rejected) == ["no asked language"] * 3 + ["not UTF-8"]
    value = {m.metric: m.value for m in done.manifest.measurements if m.lang is None}
    assert value["set_aside"] == 4


def test_the_same_text_twice_is_kept_once_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("एक ही बात\n" * 5 + "दूसरी बात\n")
    done = corpus(tmp_path, tmp_path / "a.txt")
    assert len(read_records(done.path / "paragraphs.jsonl", Paragraph)) == 2
    assert read_json(done.path / "stats.json")["duplicates"] == 4


def test_short_paragraphs_are_set_aside_and_long_ones_cut(tmp_path: Path, mixed: Path) -> None:
    done = corpus(tmp_path, mixed, min_characters=24, max_characters=28)
    found = read_records(done.path / "paragraphs.jsonl", Paragraph)
    assert {len(p.text) for p in found} <= set(range(24, 29))
    stats = read_json(done.path / "stats.json")
    assert stats["cut"] > 0
    assert stats["set_aside"]["too short"] > 0
    whole = corpus(tmp_path, max_characters=100, per_language=5)
    assert all(len(p.text) <= 100 for p in read_records(whole.path / "paragraphs.jsonl", Paragraph))


def test_the_same_question_gives_the_same_files(tmp_path: Path, mixed: Path) -> None:
    one = corpus(tmp_path / "1", mixed, n=30, statistics="full")
    same = corpus(tmp_path / "2", mixed, n=30, statistics="full")
    other = corpus(tmp_path / "3", mixed, n=30, statistics="full", seed=1)
    assert one.manifest.content_sha256 == same.manifest.content_sha256
    assert one.manifest.content_sha256 != other.manifest.content_sha256


def test_full_statistics_say_words_script_and_register(tmp_path: Path) -> None:
    news = [p.text for p in shipped("hi") if p.style == "news"][:10]
    plain = [p.text for p in shipped("hi") if p.style != "news"][:30]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in news + plain))
    done = corpus(tmp_path, tmp_path / "a.jsonl", statistics="full")
    hindi = read_json(done.path / "stats.json")["languages"]["hi"]
    assert hindi["n"] == 40
    assert hindi["words"] == pytest.approx(sum(len(t.split()) for t in news + plain), rel=0.05)
    assert hindi["script_share"] > 0.9
    assert hindi["news_share"] == pytest.approx(0.25, abs=0.03)
    assert hindi["characters"] == sum(len(t) for t in news + plain)
    shipped_stats = read_json(corpus(tmp_path, statistics="full").path / "stats.json")
    assert "news_share" not in shipped_stats["languages"]["hi"]  # the scorer was trained on it
    assert shipped_stats["languages"]["hi"]["styles"]["news"] >= 40


def test_an_empty_a_missing_and_a_binary_corpus_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "tamil.txt").write_text("தமிழ்\n")
    for name, kind in {"empty.txt": BadFile, "binary.txt": BadFile, "tamil.txt": BadRecord}.items():
        with pytest.raises(kind) as caught:
            corpus(tmp_path, tmp_path / name)
        assert caught.value.exit_code == 2
        assert name in str(caught.value)
    with pytest.raises(BadFile, match="no such file"):
        corpus(tmp_path, tmp_path / "missing.txt")


@pytest.mark.real
def test_kannada_costs_smollm_many_tokens_a_word(
    tmp_path: Path, gemma_gguf: Path, smol_gguf: Path
) -> None:
    from seemant.corpus.stats import describe, encoder

    paragraphs = [*shipped("kn")[:20], *shipped("en")[:20]]
    tokenizers = {"gemma": encoder(gemma_gguf), "smol": encoder(smol_gguf)}
    stats = describe(paragraphs, tokenizers=tokenizers)
    assert stats["kn"]["tokens_a_word"]["smol"] > 15
    assert stats["kn"]["tokens_a_word"]["gemma"] < 6
    assert stats["en"]["tokens_a_word"]["smol"] < 2
