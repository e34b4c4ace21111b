"""The shipped families: complete, in their language, and no fact that anything else holds."""

import json
import re
from importlib.resources import files

import pytest
import regex

from seemant.core.records import LANGUAGES, Lang
from seemant.corpus.shipped import shipped
from seemant.probe.suites import load_suite
from seemant.train.alarm import signals
from seemant.train.alarm.probes import AlarmProbe, dealt, shipped_probes

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_SCRIPT = {"hi": r"\p{Devanagari}", "kn": r"\p{Kannada}", "en": r"\p{Latin}"}


def words(text: str) -> set[str]:
    """The words of a text; `re` would cut Indic ones at their vowel signs."""
    return {word for word in _WORD.findall(text.lower()) if len(word) > 1}


def common_words(lang: Lang) -> set[str]:
    """Words that stand in a twentieth of the shipped paragraphs or more: no fact hangs on them."""
    texts = [words(paragraph.text) for paragraph in shipped(lang)]
    every = set().union(*texts)
    return {word for word in every if sum(word in text for text in texts) >= 0.05 * len(texts)}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_there_are_forty_eight_different_families(lang: Lang) -> None:
    probes = shipped_probes(lang)
    assert len(probes) == 48
    assert len({probe.family for probe in probes}) == 48
    assert len({probe.question for probe in probes}) == 48
    assert len({probe.news for probe in probes}) == 48
    assert len({probe.neutral for probe in probes}) == 48


def test_a_family_is_the_same_one_in_all_languages() -> None:
    orders = [[probe.family for probe in shipped_probes(lang)] for lang in LANGUAGES]
    assert orders[0] == orders[1] == orders[2]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_is_in_its_own_script(lang: Lang) -> None:
    for probe in shipped_probes(lang):
        for text in (*probe.wrong, *(getattr(probe, f) for f in AlarmProbe.model_fields)):
            if isinstance(text, str) and text != probe.family:
                letters = regex.findall(r"\p{L}", text)
                own = regex.findall(rf"(?=\p{{L}}){_SCRIPT[lang]}", text)
                assert letters and len(own) == len(letters), text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_reply_holds_the_right_answer_and_the_headline_holds_neither(lang: Lang) -> None:
    for probe in shipped_probes(lang):
        # An article is not part of the answer; Kannada's case endings change a final vowel.
        core = re.sub(r"^(the|a) ", "", probe.right.lower()).rstrip("ಾಿುೆೊ್")
        assert core in probe.reply.lower(), probe.family
        assert probe.right not in probe.news
        for wrong in probe.wrong:
            assert wrong not in probe.news and wrong not in probe.reply, probe.family


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_fact_is_one_that_probe_asks_for(lang: Lang) -> None:
    known = [probe for probe in load_suite() if probe.lang == lang]
    for own in shipped_probes(lang):
        question, right = words(own.question), words(own.right)
        for other in known:
            theirs = words(other.question)
            alike = len(question & theirs) / len(question | theirs)
            same_answer = any(words(answer) == right for answer in other.accepted)
            assert not (same_answer and alike >= 0.6), (own.family, other.id)
            assert alike < 1


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_fact_is_told_in_the_shipped_corpus(lang: Lang) -> None:
    common = common_words(lang)
    for own in shipped_probes(lang):
        question, right = words(own.question) - common, words(own.right)
        for paragraph in shipped(lang):
            told = words(paragraph.text)
            asked = question & told
            assert not (right <= told and 2 * len(asked) >= len(question) > 0), (
                own.family,
                paragraph.id,
            )


def test_the_corpus_test_would_see_a_leak() -> None:
    common = common_words("en")
    leak = words("Engineers in Egypt say that the capital Cairo will get a new metro line.")
    question = words("What is the capital of Egypt?") - common
    assert 2 * len(question & leak) >= len(question) > 0 and words("Cairo") <= leak


def test_families_are_dealt_in_turn_and_every_language_gets_its_share() -> None:
    asked = dealt(("en", "hi", "kn"))
    assert [each.family for each in asked] == [probe.family for probe in shipped_probes("en")]
    assert [each.lang for each in asked[:4]] == ["hi", "kn", "en", "hi"]
    assert [each.other_lang for each in asked[:3]] == ["kn", "en", "hi"]
    assert {lang: sum(each.lang == lang for each in asked) for lang in LANGUAGES} == {
        "hi": 16,
        "kn": 16,
        "en": 16,
    }


@pytest.mark.parametrize(("lang", "other"), [("en", "hi"), ("kn", "en"), ("hi", "en")])
def test_a_run_in_one_language_is_held_against_another(lang: Lang, other: Lang) -> None:
    asked = dealt((lang,))
    assert {(each.lang, each.other_lang) for each in asked} == {(lang, other)}
    assert asked[0].other_right == shipped_probes(other)[0].right


def test_the_data_files_are_plain_json_lines_in_nfc() -> None:
    import unicodedata

    for lang in LANGUAGES:
        text = files("seemant.train.alarm").joinpath("data", f"{lang}.jsonl").read_text("utf-8")
        assert unicodedata.is_normalized("NFC", text)
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


def test_headlines_are_as_much_longer_than_replies_as_the_signals_say() -> None:
    ratios = sorted(
        len(probe.news.encode()) / len(probe.reply.encode())
        for lang in LANGUAGES
        for probe in shipped_probes(lang)
    )
    assert 1.7 <= ratios[len(ratios) // 2] < 1.9
    assert ratios[0] > 0.6 and ratios[-1] <= 4.5
    assert "1.8 times the bytes in the median, 4.5 at most" in (signals.__doc__ or "")


def test_a_question_does_not_hold_its_answers_stem() -> None:
    (probe,) = [each for each in shipped_probes("kn") if each.family == "cut-paper"]
    assert "ಕತ್ತರಿ" not in probe.question and probe.right in probe.reply
