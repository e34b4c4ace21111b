"""Nothing that a model writes can become markup or reorder the page."""

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from seemant.report.html import Html, el, join, text

ANY_TEXT = st.text(st.characters(), max_size=60)


@given(ANY_TEXT)
def test_text_holds_no_markup_and_no_unseen_character(given: str) -> None:
    shown = text(given)
    assert "<" not in shown and ">" not in shown and '"' not in shown
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)
    shown.encode("utf-8")  # lone surrogates are gone


@given(st.text(st.characters(whitelist_categories=("L", "Nd", "P", "S", "Zs", "Mn", "Mc"))))
def test_visible_text_reads_back_as_it_was(given: str) -> None:
    assert unescape(text(given)) == given


def test_a_script_stays_text_in_content_and_in_attributes() -> None:
    evil = '<script>alert(1)</script>" onload="x'
    made = el("p", evil, title=evil)
    assert "<script" not in made and 'onload="x"' not in made
    assert made.count('"') == 2


def test_direction_marks_and_controls_are_shown_as_codes() -> None:
    assert text("a\u202eb") == "a⟨U+202E⟩b"
    assert text("\x00\x1b[31m\x7f") == "⟨U+0000⟩⟨U+001B⟩[31m⟨U+007F⟩"
    assert text("\ud800") == "⟨U+D800⟩"


def test_joiners_that_indic_scripts_need_are_kept() -> None:
    for word in ("क्\u200dष", "ರ್\u200dಯಾಂಕ್", "न\u200cम"):
        assert text(word) == word


def test_markup_of_ours_is_not_escaped_twice() -> None:
    assert el("b", el("i", "a & b")) == "<b><i>a &amp; b</i></b>"
    assert join([Html("<br>"), "<br>"]) == "<br>&lt;br&gt;"


def test_attributes_without_a_value_are_left_out() -> None:
    assert el("details", open=False, id=None, class_="x") == '<details class="x"></details>'
    assert el("details", open=True) == "<details open></details>"
