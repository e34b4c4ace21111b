"""Calibration text: what is read, how it is cut, and what is refused."""

import json
from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from seemant.compress.calibrate.tokens import (
    calibrating_part,
    counts,
    random_sequences,
    read_text,
    sequences_of,
)
from seemant.core.errors import BadFile, BadRecord
from seemant.models.tokenizer import Tokenizer

HI, KN, EN = "यह एक वाक्य है", "ಇದು ಒಂದು ವಾಕ್ಯ", "this is a sentence"


@pytest.fixture
def letters() -> Tokenizer:
    """A tokenizer of one id a character, BOS 1."""
    known = sorted({*HI, *KN, *EN, "\n"})
    vocabulary = {"?": 0, "<bos>": 1} | {each: i for i, each in enumerate(known, 2)}
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    return Tokenizer(inner, 1, 0, add_bos=True)


def test_lines_of_a_text_are_told_apart_by_script(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(f"{HI}\n{KN}\n123 456\n\n{EN}\n{HI} 2\n", encoding="utf-8")
    text = read_text(tmp_path / "text.txt")
    assert text.languages == ("hi", "kn", "en")
    assert text.paragraphs["hi"] == [HI, f"{HI} 2"]


def test_a_corpus_gives_its_calibration_part_and_a_distill_run_its_pairs(tmp_path: Path) -> None:
    corpus, distill = tmp_path / "corpus", tmp_path / "distill"
    for folder in (corpus, distill):
        folder.mkdir()
    line = {"id": "a", "lang": "kn", "text": KN}
    (corpus / "calibration.jsonl").write_text(json.dumps(line), encoding="utf-8")
    (corpus / "heldout.jsonl").write_text(json.dumps(line | {"lang": "en"}), encoding="utf-8")
    assert read_text(corpus).languages == ("kn",)
    pair = {"instruction": EN, "output": EN, "lang": "en"}
    (distill / "pairs.jsonl").write_text(json.dumps(pair), encoding="utf-8")
    assert read_text(distill).languages == ("en",)


def test_sequences_begin_with_bos_and_keep_to_the_budget(
    tmp_path: Path, letters: Tokenizer
) -> None:
    (tmp_path / "text.txt").write_text(f"{HI}\n{EN}\n" * 60, encoding="utf-8")
    text = read_text(tmp_path / "text.txt")
    found = sequences_of(text, letters, ["hi", "en"], tokens=600, length=128)
    assert counts(found) == {"hi": 600, "en": 600}
    assert [len(each) for each in found["hi"]] == [128, 128, 128, 128, 88]
    assert all(each[0] == 1 and 1 not in each[1:] for each in found["en"])
    written = letters.inner.decode(found["en"][0][1:], skip_special_tokens=False).replace(" ", "")
    assert written.startswith(EN.replace(" ", ""))


def test_the_seed_draws_the_order_of_paragraphs(tmp_path: Path, letters: Tokenizer) -> None:
    lines = [EN[i:] for i in range(1, 10)] * 9
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    text = read_text(tmp_path / "text.txt")
    draws = [sequences_of(text, letters, ["en"], tokens=512, seed=seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_a_language_that_is_lacking_is_refused_unless_allowed(
    tmp_path: Path, letters: Tokenizer
) -> None:
    (tmp_path / "text.txt").write_text(f"{EN}\n" * 60, encoding="utf-8")
    text = read_text(tmp_path / "text.txt")
    with pytest.raises(BadFile, match="no kn") as caught:
        sequences_of(text, letters, ["en", "kn"])
    assert "Kannada" in str(caught.value) and "there: en" in str(caught.value)
    assert set(sequences_of(text, letters, ["en", "kn"], allow_gap=True)) == {"en"}
    with pytest.raises(BadFile):
        sequences_of(text, letters, ["kn"], allow_gap=True)  # nothing would be left


def test_a_search_s_share_is_named_where_it_leaves_too_little(
    tmp_path: Path, letters: Tokenizer
) -> None:
    (tmp_path / "text.txt").write_text(f"{HI}\n" + f"{EN}\n" * 7, encoding="utf-8")
    text = calibrating_part(read_text(tmp_path / "text.txt"))
    with pytest.raises(BadFile, match=r"too few paragraphs of hi \(Devanagari\): 1") as caught:
        sequences_of(text, letters, ["hi"])
    assert "every fourth" in str(caught.value) and "has no hi" not in str(caught.value)
    with pytest.raises(BadFile, match="tokens of en are too few") as caught:
        sequences_of(text, letters, ["en"])
    assert "every fourth of its 7 paragraphs" in str(caught.value)
    with pytest.raises(BadFile, match="has no kn"):
        sequences_of(text, letters, ["kn"])


def test_bad_text_is_refused(tmp_path: Path, letters: Tokenizer) -> None:
    (tmp_path / "short.txt").write_text(EN, encoding="utf-8")
    with pytest.raises(BadFile, match="too few"):
        sequences_of(read_text(tmp_path / "short.txt"), letters, ["en"])
    (tmp_path / "digits.txt").write_text("12 34\nقلم\n", encoding="utf-8")
    with pytest.raises(BadFile, match="known script") as caught:
        read_text(tmp_path / "digits.txt")
    assert "Devanagari, Kannada, Latin" in str(caught.value)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="UTF-8"):
        read_text(tmp_path / "binary.txt")
    with pytest.raises(BadFile):
        read_text(tmp_path / "absent.txt")
    (tmp_path / "bad.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(BadRecord):
        read_text(tmp_path / "bad.jsonl")


def test_random_ids_fill_the_budget() -> None:
    found = random_sequences(50, tokens=130, length=64, seed=3)
    assert [len(each) for each in found] == [64, 64, 2]
    assert min(map(min, found)) >= 0 and max(map(max, found)) < 50
