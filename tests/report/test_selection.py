"""What is chosen to be shown is chosen by rule."""

from seemant.report.exchanges import Answer, Exchange
from seemant.report.sections.experiment import made_earlier
from seemant.report.sections.summary import _by_bits, _told, same_outcome
from seemant.report.sections.transcripts import selected
from seemant.report.words import duration, number, significant, size, spoken, within


def exchange(probe_id: str, diagnosis: str) -> Exchange:
    answer = Answer("text", diagnosis, None, False)
    return Exchange("m", probe_id, "hi", "", "q", answer, answer, False)


def test_the_studys_questions_come_first_then_new_diagnoses() -> None:
    given = [
        exchange("moon.hi", "pass"),
        exchange("sun.hi", "pass"),
        exchange("sky.hi", "mimicry"),
        exchange("sea.hi", "empty"),
        exchange("capital-india.hi", "pass"),
        exchange("who-are-you.hi", "pass"),
    ]
    shown = [e.probe_id for e in selected(given, 4)]
    assert shown == ["who-are-you.hi", "capital-india.hi", "sky.hi", "sea.hi"]


def test_fewer_exchanges_than_asked_for_are_all_shown_once() -> None:
    given = [exchange("moon.hi", "pass"), exchange("sun.hi", "pass")]
    assert sorted(e.probe_id for e in selected(given, 4)) == ["moon.hi", "sun.hi"]


def test_devices_with_one_outcome_share_a_sentence() -> None:
    fit = {"languages": ["hi"], "verdict": "fit", "pick": "m", "why": "w"}
    groups = same_outcome([fit | {"device": "a"}, {**fit, "pick": "n"}, fit | {"device": "b"}])
    assert [len(group) for group in groups] == [2, 1]


def test_a_bit_width_has_a_line_and_devices_that_agree_are_counted() -> None:
    unfit = {"languages": ["hi"], "verdict": "unfit", "pick": None, "why": "w", "evidence": []}
    asked = [
        unfit | {"device": f"d{n}", "device_title": f"board {n}, {bits} bits", "bits": bits}
        for bits in (8, 4)
        for n in range(4)
    ]
    asked[-1] = asked[-1] | {"why": "too large"}
    groups = _by_bits(["hi"], asked)
    assert list(groups) == ["Hindi, 8 bits", "Hindi, 4 bits"]
    eight, four = (str(_told(group)) for group in groups.values())
    assert eight.startswith("All 4 devices: ") and "board" not in eight
    assert "oard 0" in four and "bits" not in four and four.count("too large") == 1


def test_a_pause_parts_an_earlier_run_from_the_last(study) -> None:
    from seemant.report.nodes import read_nodes

    nodes = read_nodes(study)
    assert made_earlier(nodes) == set()
    old = nodes[0].manifest.model_copy(update={"created": "2020-01-01T00:00:00+00:00"})
    from dataclasses import replace

    assert made_earlier([replace(nodes[0], manifest=old), *nodes[1:]]) == {nodes[0].name}


def test_numbers_are_said_in_few_digits_and_with_a_true_minus() -> None:
    assert number(-0.12345, 2) == "−0.12" and number(0.5, 2, signed=True) == "+0.50"
    assert number(None) == "–" and number(12345.0) == "12,345"
    assert significant(0.00421) == "0.00421" and significant(-4.4204) == "−4.42"
    assert significant(0) == "0" and significant(123456.0) == "123,456"


def test_sizes_and_times_are_in_units_that_people_read() -> None:
    assert size(253113024).replace("\u00a0", " ") == "253 MB"
    assert size(3.2e9).replace("\u00a0", " ") == "3.2 GB" and size(None) == "–"
    assert duration(8.25) == "8.2 s" and duration(200) == "3 min 20 s"
    assert duration(3900) == "1 h 5 min" and duration(59.6) == "60 s"


def test_names_are_joined_as_they_are_spoken() -> None:
    assert spoken(["a"]) == "a" and spoken(["a", "b", "c"]) == "a, b and c"
    assert within("A board") == "a board" and within("NVIDIA Nano") == "NVIDIA Nano"
