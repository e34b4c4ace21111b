"""The page of a whole study, and of studies with parts missing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.core.measurement import Measurement
from seemant.core.stage import Input, execute
from seemant.report.config import ReportConfig
from seemant.report.nodes import read_nodes
from seemant.report.page import page
from seemant.report.run import STAGE
from tests.frontier.artefacts import artefact, lines

CONFIG = ReportConfig(study="quick", title="A <test> study", question="What is the smallest?")
VOID = {"meta", "br", "input", "hr", "link"}


class Outline(HTMLParser):
    """Checks that tags close in order; keeps ids, links, addresses and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.addresses += [str(given[k]) for k in ("src", "href") if given.get(k)]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> within {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    assert found.open == []
    return found


@pytest.fixture(scope="session")
def html(study: dict[str, Input], tmp_path_factory: pytest.TempPathFactory) -> str:
    done = execute(STAGE, CONFIG, study, store=tmp_path_factory.mktemp("report"))
    return (done.path / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_small(html: str) -> None:
    found = outline(html)
    assert len(found.ids) == len(set(found.ids))
    assert len(html.encode()) < 5_000_000


def test_nothing_is_fetched_from_anywhere(html: str) -> None:
    assert all(address.startswith("#") for address in outline(html).addresses)
    assert "@import" not in html and "url(" not in html
    assert "default-src &#x27;none&#x27;" in html


def test_every_link_of_the_bar_leads_to_a_section(html: str) -> None:
    found = outline(html)
    targets = {address[1:] for address in found.addresses}
    assert targets <= set(found.ids)
    assert targets >= {"recommendations", "frontier", "transcripts", "compression", "losses"}
    assert targets >= {"distillation", "experiment", "measurements", "take-away", "repeat"}


def test_the_title_is_text_and_not_markup(html: str) -> None:
    assert "<h1>A &lt;test&gt; study</h1>" in html


def test_scripts_of_india_come_with_their_language_and_fonts(html: str) -> None:
    for font in ("Noto Sans Devanagari", "Nirmala UI", "Kohinoor Devanagari", "Mangal"):
        assert font in html
    for font in ("Noto Sans Kannada", "Tunga", "Kannada Sangam MN"):
        assert font in html
    assert re.search(r'<blockquote lang="kn"[^>]*>[^<]*[\u0c80-\u0cff]', html)
    assert re.search(r'<span lang="hi"[^>]*>[^<]*[\u0900-\u097f]', html)


def test_dark_mode_print_and_phones_are_thought_of(html: str) -> None:
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert "width=device-width" in html and "@media (max-width" in html


def test_the_outcome_stands_in_the_first_paragraph(html: str, study: dict[str, Input]) -> None:
    lead = html.split('class="lead"')[1].split("</div>")[0]
    assert "What is the smallest?" in lead
    assert "200 MB" in lead and ("unfit" in lead or "nats a byte above chance" in lead)


def test_every_measurement_is_on_the_page(html: str, study: dict[str, Input]) -> None:
    n = sum(len(node.manifest.measurements) for node in read_nodes(study))
    part = html.split('id="all-measurements"')[1].split("</table>")[0]
    assert part.count("<tr>") == n + 1  # and the heads
    assert 'data-origin="predicted"' in part and 'data-origin="measured"' in part


def test_the_reference_of_divergences_is_named(html: str) -> None:
    assert "gemma-3-270m is stored quantised" in html and "dequantised weights" in html


def test_simulated_and_artefact_rows_are_marked(html: str) -> None:
    part = html.split('id="compression"')[1].split('class="variants"')[1].split("</table>")[0]
    for mark in ("simulated", "torch only", "artefact"):
        assert f'class="mark">{mark}' in part


def test_gemmas_terms_travel_with_its_files(html: str) -> None:
    assert "Gemma Terms of Use" in html.split('id="take-away"')[1]


def test_the_same_artefacts_give_the_same_page(study: dict[str, Input]) -> None:
    assert page(read_nodes(study), CONFIG) == page(
        read_nodes(dict(reversed(study.items()))), CONFIG
    )


@pytest.mark.parametrize(
    "gone",
    ["bench", "frontier", "recommend", "distill", "corpus", "train", "probe", "divergence",
     "compress"],
)  # fmt: skip
def test_a_study_without_some_stage_still_has_its_page(study: dict[str, Input], gone: str) -> None:
    left = {r: i for r, i in study.items() if not r.removeprefix("node/").startswith(gone)}
    assert len(left) < len(study)
    outline(page(read_nodes(left), CONFIG))


def test_one_empty_artefact_is_enough_for_a_page(tmp_path: Path) -> None:
    lone = artefact(tmp_path, "corpus", {"x.txt": "x"}).as_input("corpus")
    found = outline(page(read_nodes({"node/corpus": lone}), CONFIG))
    assert any("No recommendation was made" in words for words in found.words)


def test_an_unfinished_artefact_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    with pytest.raises(BadFile, match=r"manifest\.json is missing"):
        read_nodes({"node/half": Input(tmp_path / "half", "half", "0")})


def test_hostile_text_from_every_file_stays_text(tmp_path: Path) -> None:
    evil = "</blockquote></script><script>alert('x')</script><img src=http://evil/x>\u202eabc\x00"
    line = {
        "probe_id": f"{evil}.hi", "lang": "hi", "model": evil, "backend": evil,
        "template_hash": evil, "system_prompt_hash": evil, "sampling": {"temperature": 0.0},
        "seed": 0, "question": evil, "output": evil, "finish_reason": "stop",
    }  # fmt: skip
    pair = {"instruction": evil, "output": evil, "lang": "hi", "reasons": [evil], "paragraph": evil}
    figure = Measurement(
        subject=evil, metric=evil, value=1.0, unit=evil, ci_method=f"none: {evil}", n=1,
        origin="reported", source=evil, conditions={evil: evil},
    )  # fmt: skip
    nodes = {
        "probe": artefact(
            tmp_path, "probe", {"transcripts.jsonl": lines([line])}, measurements=[figure]
        ),
        "distill": artefact(tmp_path, "distill", {"samples.json": json.dumps({"dropped": [pair]})}),
    }
    inputs = {f"node/{name}": done.as_input(evil) for name, done in nodes.items()}
    html = page(read_nodes(inputs), ReportConfig(title=evil, question=evil, params=(evil,)))
    found = outline(html)
    assert html.count("<script>") == 1 and "<img" not in html
    assert all(address.startswith("#") for address in found.addresses)
    assert "\u202e" not in html and "\x00" not in html
    assert html.count("alert(&#x27;x&#x27;)") >= 8
