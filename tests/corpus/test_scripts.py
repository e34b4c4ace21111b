import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.corpus.scripts import detect_lang, n_letters, script_share, words


def test_re_splits_indic_words_and_words_does_not() -> None:
    assert re.findall(r"\w+", "नमस्ते") != ["नमस्ते"]
    assert words("नमस्ते दुनिया, ಕರ್ನಾಟಕದ ಮುಖ್ಯಮಂತ್ರಿ! don't ೧೨") == [
        "नमस्ते",
        "दुनिया",
        "ಕರ್ನಾಟಕದ",
        "ಮುಖ್ಯಮಂತ್ರಿ",
        "don't",
        "೧೨",
    ]


def test_a_joiner_stays_inside_its_word() -> None:
    assert words("ರ\u200d್ಯಾಂಕ್ क्\u200dष") == ["ರ\u200d್ಯಾಂಕ್", "क्\u200dष"]


def test_marks_count_as_letters_and_digits_do_not() -> None:
    assert n_letters("कि १२ 34 ।") == 2  # ka and its vowel sign
    assert script_share("कि १२ 34 ।", "hi") == 1.0
    assert script_share("दिल्ली DELHI", "hi") == pytest.approx(6 / 11)


def test_letters_of_unknown_scripts_lower_the_share() -> None:
    assert script_share("ಕನ್ನಡ தமி", "kn") == pytest.approx(5 / 8)
    assert script_share("12, 34", "en") == 0.0


def test_the_majority_script_names_the_language() -> None:
    assert detect_lang("यह AI है और अच्छा है") == "hi"
    assert detect_lang("ಇದು AI ತಂತ್ರಜ್ಞಾನ") == "kn"
    assert detect_lang("The word दिल्ली is a city") == "en"
    assert detect_lang("1 + 1 = 2 ।") is None
    assert detect_lang("தமிழ்") is None
    assert detect_lang("") is None


@given(st.text(alphabet=st.sampled_from("abक ि्ಕ ಿ1. தé"), max_size=40))
def test_shares_of_the_languages_never_exceed_one(text: str) -> None:
    shares = [script_share(text, lang) for lang in ("hi", "kn", "en")]
    assert all(share >= 0 for share in shares)
    assert sum(shares) <= 1 + 1e-9
    assert (detect_lang(text) is None) == (max(shares) == 0)
    if lang := detect_lang(text):
        assert script_share(text, lang) == max(shares)
