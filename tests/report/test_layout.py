"""The page fits a desk's screen and a phone's, and numbers candidates one way throughout."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from seemant.core.stage import Input
from seemant.report.config import ReportConfig
from seemant.report.nodes import read_nodes
from seemant.report.numbering import numbers
from seemant.report.page import page
from tests.report.browser import CHROMIUM, measure
from tests.report.hard_cases import crowd

STYLE = files("seemant.report").joinpath("style.css").read_text(encoding="utf-8")
PHONE = 390
NUMBERED = re.compile(r'<b class="no">(\d+)</b> (?:<span class="who">|<b>)([^<]+)<')


@pytest.fixture(scope="module")
def html(study: dict[str, Input]) -> str:
    config = ReportConfig(study="quick", title="A study", question="What is the smallest?")
    return page(read_nodes(study), config)


def test_a_candidate_has_one_number_in_tables_charts_and_cards(
    html: str, study: dict[str, Input]
) -> None:
    known = numbers(read_nodes(study))
    assert sorted(known.values()) == list(range(1, len(known) + 1))
    seen = 0
    for number, name in NUMBERED.findall(html):
        meant = [
            n for subject, n in known.items() if subject == name or subject.endswith(f"/{name}")
        ]
        assert int(number) in meant, f"{name} is numbered {number}, known as {meant}"
        seen += 1
    for subject, number in known.items():  # the charts say in words whose bubble it is
        point = rf"<g class=\"point[^>]*><title>{re.escape(subject)}: [^<]*</title>"
        told = point + r"(?:(?!</g>).)*?>(\d+)</text>"
        assert set(re.findall(told, html)) <= {str(number)}
    sections = ("verdict", "recommendations", "frontier", "compression")
    for section in sections:
        part = html.split(f'<section id="{section}">')[1].split("</section>")[0]
        assert NUMBERED.search(part), section
    assert seen > 2 * len(known)


def test_the_verdict_stands_first_with_counts_and_a_word(html: str) -> None:
    first = html.split("<main>")[1].split("</section>")[0]
    assert 'id="verdict"' in first and "In short" in first
    assert re.search(r"<b>\d+ of \d+</b> right", first) and 'class="word' in first
    assert "nats" not in first
    card = html.split('<article class="card')[1].split("</article>")[0]
    assert re.search(r"<b>\d+ of \d+</b> right", card)
    assert "nats" not in card.split("<details")[0].split('class="misses"')[0]


def test_every_word_that_a_reader_may_not_know_is_in_the_glossary(html: str) -> None:
    part = html.split('<section id="glossary">')[1].lower()
    for word in ("kld", "nats", "bits", "gptq", "family", "interval", "floor", "adapter"):
        assert f"{word}" in part.split("</section>")[0], word


def test_no_rule_of_the_style_is_wider_than_a_phone() -> None:
    fixed = re.findall(r"(?<![-\w])(?:min-)?width:\s*([\d.]+)(px|rem)", STYLE)
    assert all(float(n) * (16 if unit == "rem" else 1) <= PHONE for n, unit in fixed)
    for least in re.findall(r"minmax\((?!min)([\d.]+)rem", STYLE):
        assert float(least) * 16 < PHONE


def test_on_a_phone_each_cell_says_its_column(html: str) -> None:
    assert "content: attr(data-head)" in STYLE
    for body in re.findall(r"<tbody>(.*?)</tbody>", html, re.S):
        cells = re.findall(r"<td([^>]*)>", body)
        assert cells and sum("data-head=" in cell for cell in cells) >= 0.6 * len(cells)


def test_how_to_repeat_it_is_the_whole_command_with_what_it_was_made_from(
    study: dict[str, Input],
) -> None:
    config = ReportConfig(
        study="mine", spec="my study.yaml", spec_sha256="5e" * 32,
        params=("corpus=my text.txt", "gemma.languages=[hi]"),
    )  # fmt: skip
    part = page(read_nodes(study), config).split('<section id="repeat">')[1]
    wanted = (
        "seemant study run 'my study.yaml' --set 'corpus=my text.txt' --set 'gemma.languages=[hi]'"
    )
    assert wanted.replace("'", "&#x27;") in part
    assert "5e" * 32 in part and "embedded:gemma-3-270m" in part


browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed here")


@browser
@pytest.mark.parametrize("width", [1280, PHONE])
def test_in_a_browser_nothing_is_cut_off_and_no_labels_overlap(
    html: str, width: int, tmp_path: Path
) -> None:
    found = measure(html, width, tmp_path)
    assert found["width"] == width and found["scroll"] <= width
    assert found["wide"] == [] and found["over"] == []


@browser
@pytest.mark.parametrize("width", [1280, PHONE])
def test_in_a_browser_a_crowd_of_long_names_fits_too(width: int, tmp_path: Path) -> None:
    found = measure(crowd(tmp_path / "runs"), width, tmp_path)
    assert found["scroll"] <= width
    assert found["wide"] == [] and found["over"] == []
