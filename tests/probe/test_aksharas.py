"""Clusters, words, sentences and the normal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.probe.aksharas import aksharas, letters, words
from seemant.probe.normalise import normalise
from seemant.probe.sentences import first_sentence, sentences

INDIC = st.text(alphabet="ಕಷ್ರೇಿತಾಂಃ್ \u200c\u200dकष्मतािी्ं ।.abc1೧", max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ಕ್ಷೇತ್ರ", ["ಕ್ಷೇ", "ತ್ರ"]),
        ("ಶ್ರೀಕೃಷ್ಣ", ["ಶ್ರೀ", "ಕೃ", "ಷ್ಣ"]),
        ("ಚಾಟ್\u200cಬಾಟ್", ["ಚಾ", "ಟ್\u200c", "ಬಾ", "ಟ್"]),
        ("विद्या", ["वि", "द्या"]),
        ("हिन्दी", ["हि", "न्दी"]),
        ("day", ["d", "a", "y"]),
        ("", []),
    ],
)
def test_a_word_is_cut_into_its_aksharas(text: str, expected: list[str]) -> None:
    assert aksharas(text) == expected


@given(INDIC)
def test_aksharas_join_to_the_text(text: str) -> None:
    assert "".join(aksharas(text)) == text


def test_words_keep_their_vowel_signs() -> None:
    assert words("हिन्दी में, ಕನ್ನಡ 12!") == ["हिन्दी", "में", "ಕನ್ನಡ", "12"]
    assert letters("हाँ, 7!") == ["हाँ", "7"]


@given(INDIC)
def test_normal_form_is_stable(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("हिन्दी", "हिंदी"),
        ("फ़्रांस", "फ्रांस"),
        ("हाँ", "हां"),
        ("೨೭", "27"),
        ("२७", "27"),
        ("ಚಾಟ್\u200cಬಾಟ್", "ಚಾಟ್ಬಾಟ್"),
        ("A.I.", "AI"),
        ("प्याज\u093c", "प्याज"),
        ("a  b\t c", "a b c"),
    ],
)
def test_spellings_that_read_the_same_are_the_same(a: str, b: str) -> None:
    assert normalise(a) == normalise(b)


@given(INDIC)
def test_sentences_join_to_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text
    assert text.startswith(first_sentence(text))


def test_abbreviations_and_decimals_do_not_end_a_sentence() -> None:
    assert sentences("Mt. Everest is 8.8 km. High!") == ["Mt. Everest is 8.8 km.", " High!"]
    assert sentences("डॉ. राव आए। वे गए") == ["डॉ. राव आए।", " वे गए"]
    assert first_sentence("… ನವದೆಹಲಿ. ಮುಂಬೈ") == "… ನವದೆಹಲಿ."
