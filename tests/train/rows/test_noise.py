"""Noisy pairs are left out with their reason; what nothing is known against stays."""

import pytest

from seemant.corpus.shipped import shipped
from seemant.train.rows.noise import without_noise
from tests.train.tiny import pair


def test_pairs_with_a_failed_check_are_left_out_when_asked() -> None:
    pairs = [
        pair("a?", "b", id="good", checks={"script": True, "about": True}),
        pair("c?", "d", id="bad", checks={"script": True, "about": False}),
        pair("e?", "f", id="unknown"),
    ]
    kept, aside = without_noise(pairs, checked_only=True, max_news=None)
    assert [each.key for each in kept] == ["good", "unknown"]
    assert [(each.key, each.reason, each.detail) for each in aside] == [
        ("bad", "failed_check", "about")
    ]
    assert without_noise(pairs, checked_only=False, max_news=None) == (pairs, [])


@pytest.mark.parametrize("lang", ["hi", "kn", "en"])
def test_answers_that_read_like_news_are_left_out(lang) -> None:
    found = {True: [], False: []}
    for paragraph in shipped(lang):
        found[paragraph.style == "news"].append(
            pair("?", paragraph.text, id=paragraph.id, lang=lang)
        )
    news, other = found[True][:12], found[False][:12]
    kept, aside = without_noise([*news, *other], checked_only=False, max_news=0.0)
    kept_keys = {each.key for each in kept}
    assert {each.reason for each in aside} == {"news"}
    assert len({each.key for each in other} & kept_keys) >= 11
    assert len({each.key for each in news} & kept_keys) <= 1
    assert "over 0" in aside[0].detail
