import unicodedata
from collections import Counter
from itertools import combinations

import pytest

from seemant.core.records import LANGUAGES, Lang
from seemant.corpus.scripts import script_share
from seemant.corpus.shipped import shipped
from seemant.corpus.splits import SPLITS, split_of

LEAST: dict[Lang, int] = {"hi": 150, "kn": 150, "en": 80}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_there_are_enough_paragraphs_subjects_and_news(lang: Lang) -> None:
    paragraphs = shipped(lang)
    assert len(paragraphs) >= LEAST[lang]
    assert sum(p.style == "news" for p in paragraphs) >= 40
    assert sum(p.style != "news" for p in paragraphs) >= 30
    assert len({p.subject for p in paragraphs}) >= 12


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_paragraph_is_nfc_and_in_its_script(lang: Lang) -> None:
    for paragraph in shipped(lang):
        assert paragraph.lang == lang
        assert paragraph.id.startswith(f"{lang}-")
        assert paragraph.source == f"seemant:corpus/{lang}.jsonl"
        assert unicodedata.is_normalized("NFC", paragraph.text)
        assert "\n" not in paragraph.text
        assert len(paragraph.text) >= 100
        assert script_share(paragraph.text, lang) >= 0.9, paragraph.id


def test_no_id_or_text_stands_twice() -> None:
    everything = [paragraph for lang in LANGUAGES for paragraph in shipped(lang)]
    assert max(Counter(p.id for p in everything).values()) == 1
    assert max(Counter(p.text for p in everything).values()) == 1


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_two_paragraphs_share_most_of_their_words(lang: Lang) -> None:
    bags = [(p.id, set(p.text.split())) for p in shipped(lang)]
    for (one, a), (other, b) in combinations(bags, 2):
        assert len(a & b) < 0.6 * min(len(a), len(b)), (one, other)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_part_of_the_split_gets_its_share(lang: Lang) -> None:
    sizes = Counter(split_of(paragraph.id) for paragraph in shipped(lang))
    total = sum(sizes.values())
    for part, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
        spread = (share * (1 - share) / total) ** 0.5
        assert abs(sizes[part] / total - share) < 4 * spread
        assert sizes[part] >= 8


def test_the_split_of_an_id_never_changes() -> None:
    expected = ["heldout", "calibration", "distil", "heldout", "distil", "calibration"]
    assert [split_of(f"hi-{n:04d}") for n in range(1, 7)] == expected
