"""Diagnoses of quoted and of written transcripts, in three languages."""

from dataclasses import replace

import pytest

from seemant.probe.diagnose import LABELS, Label, diagnose, flags, label_of
from seemant.probe.reading import read
from seemant.probe.suites import load_suite

PROBES = {probe.id: probe for probe in load_suite()}

# Quoted in the evaluation notes: the study's failure, and what untuned Gemma 3 270M said.
QUOTED: list[tuple[str, str, Label]] = [
    ("who-are-you.en", "Said 27: The police…", "mimicry"),
    ("who-are-you.en", "I am talking to a friend of mine", "identity_loss"),
    ("who-are-you.kn", "ಈಗಿನಿಂದಿನಿಂದಿನಿಂದಿನ…", "collapse"),
    ("capital-rajasthan.kn", "ರಾಜಸ್ಥಾನದ ರಾಜಧಾನಿ ಆಗಸ್ಟ್ 2019", "associative"),
    # The quotation stops in the second round; 32 new tokens went on.
    (
        "capital-rajasthan.hi",
        "राजस्थान के राज्य की राजधानी राजस्थान के राज्य की राजधानी राजस्थान के राज्य की राजधानी",
        "collapse",
    ),
    ("capital-rajasthan.en", "The capital of Rajasthan is Jaipur.", "pass"),
    ("who-are-you.kn", "ಸಹಾಯಕ ಆಯುಕ್ತರು ಸ್ಥಳಕ್ಕೆ ಭೇಟಿ ನೀಡಿ ಪರಿಶೀಲಿಸಿದರು ಎಂದು ಪೊಲೀಸರು ತಿಳಿಸಿದ್ದಾರೆ.", "mimicry"),
]

WRITTEN: list[tuple[str, str, Label]] = [
    ("capital-india.hi", "नई दिल्ली", "pass"),
    ("capital-india.kn", "ಭಾರತದ ರಾಜಧಾನಿ ನವದೆಹಲಿ.", "pass"),
    ("days-in-week.kn", "7", "pass"),
    ("days-in-week.hi", "एक सप्ताह में सात दिन होते हैं।", "pass"),
    ("who-are-you.hi", "मैं एक एआई सहायक हूँ।", "pass"),
    ("who-are-you.kn", "ನಾನು AI.", "pass"),
    ("tech-ram.hi", "RAM कंप्यूटर की अस्थायी मेमोरी होती है।", "pass"),
    ("tech-ram.kn", "RAM ಎಂದರೆ ಕಂಪ್ಯೂಟರಿನ ತಾತ್ಕಾಲಿಕ ಮೆಮೊರಿ.", "pass"),
    (
        "capital-india.en",
        "New Delhi. The police arrested two people on Monday, officials said.",
        "news_addon",
    ),
    (
        "capital-india.hi",
        "नई दिल्ली। पुलिस ने बताया कि सोमवार को दो लोगों को गिरफ़्तार किया गया।",
        "news_addon",
    ),
    (
        "capital-india.kn",
        "ನವದೆಹಲಿ. ಸೋಮವಾರ ಇಬ್ಬರನ್ನು ಬಂಧಿಸಲಾಗಿದೆ ಎಂದು ಪೊಲೀಸರು ತಿಳಿಸಿದ್ದಾರೆ.",
        "news_addon",
    ),
    (
        "days-in-week.hi",
        "पुलिस ने कहा कि हादसे में 27 लोग घायल हुए और जिला अस्पताल में भर्ती हैं।",
        "mimicry",
    ),
    (
        "sky-colour.kn",
        "ಅಪಘಾತದಲ್ಲಿ ಇಬ್ಬರು ಗಾಯಗೊಂಡಿದ್ದಾರೆ ಎಂದು ಪೊಲೀಸ್ ಅಧಿಕಾರಿ ಹೇಳಿದರು.",
        "mimicry",
    ),
    ("capital-france.en", "Lyon", "associative"),
    ("capital-japan.hi", "जापान की राजधानी बीजिंग शहर के पास है", "associative"),
    ("capital-japan.kn", "ಜಪಾನ್ ದೇಶದ ರಾಜಧಾನಿ ಒಸಾಕಾ", "associative"),
    ("spider-legs.en", "A spider has 6 legs.", "associative"),
    ("capital-france.en", "", "empty"),
    ("capital-france.hi", "।", "empty"),
    ("capital-france.kn", "…", "empty"),
    ("capital-france.en", "What is the capital of France?", "empty"),
    # Nothing but the question's words, however few and in whatever order.
    ("capital-karnataka.en", "Karnataka is the capital of Karnataka.", "empty"),
    ("capital-france.en", "France", "empty"),
    ("capital-france.hi", "फ़्रांस की राजधानी", "empty"),
    ("spider-legs.en", "A spider", "empty"),
    # A number says something, and so does a side of an "or" question.
    ("add-two-three.en", "three", "associative"),
    ("human-or-program.en", "a human being", "identity_loss"),
    ("human-or-program.hi", "इंसान", "identity_loss"),
    ("human-or-program.kn", "ಮನುಷ್ಯರೇ", "identity_loss"),
    ("human-or-program.en", "Are you a human being or something else?", "empty"),
    # A loop is a loop, of whatever words and in whatever script.
    ("capital-france.en", "France France France France France France France", "collapse"),
    ("capital-france.en", "What is the capital of France? " * 3, "collapse"),
    ("capital-france.hi", "Lyon is big Lyon is big Lyon is big Lyon is big", "collapse"),
    ("highest-mountain.hi", "समुद्र तल से दुनिया का सबसे ऊँचा पर्वत सिकोया।", "associative"),
    ("spider-legs.en", "2", "associative"),
    ("capital-india.kn", "ಭಾರತದ ರಾಜಧಾನಿ?\nಉತ್ತರ: ಭಾರತದ ರಾಜಧಾನಿ?", "empty"),
    (
        "tech-internet.en",
        "The Internet is a global network of computers and networks that allows people to "
        "communicate with each other. It is a network of computers and networks that allows people",
        "pass",
    ),
    (
        "tech-robot.en",
        "I am a young girl who lives in the United States. I am a student at a college there.",
        "uncertain",
    ),
    ("who-are-you.en", "I am a news reporter.", "identity_loss"),
    ("who-are-you.hi", "मैं एक किसान हूँ।", "identity_loss"),
    ("who-are-you.kn", "ನಾನು ಒಬ್ಬ ರೈತ.", "identity_loss"),
    ("tech-internet.en", "the the the the the the the the the the", "collapse"),
    ("sky-colour.hi", "नीला नीला नीला नीला नीला नीला", "collapse"),
    ("sky-colour.kn", "ನೀಲಿ ಬಣ್ಣ ನೀಲಿ ಬಣ್ಣ ನೀಲಿ ಬಣ್ಣ ನೀಲಿ ಬಣ್ಣ", "collapse"),
    ("capital-rajasthan.kn", "Jaipur", "wrong_language"),
    ("capital-rajasthan.hi", "The capital is Jaipur.", "wrong_language"),
    ("capital-rajasthan.kn", "राजस्थान की राजधानी जयपुर है", "wrong_language"),
    ("capital-rajasthan.en", "जयपुर", "wrong_language"),
    ("capital-france.en", "I don't know.", "uncertain"),
    ("capital-france.hi", "मुझे नहीं पता।", "uncertain"),
    ("capital-france.kn", "ನನಗೆ ಗೊತ್ತಿಲ್ಲ.", "uncertain"),
    ("karnataka-cm.en", "Siddaramaiah", "uncertain"),
]


@pytest.mark.parametrize(("key", "reply", "label"), QUOTED + WRITTEN)
def test_the_diagnosis_is(key: str, reply: str, label: Label) -> None:
    reading = read(reply, PROBES[key])
    assert label_of(reading) == label, f"{reading} {flags(reading)}"


@pytest.mark.parametrize("label", LABELS)
def test_each_label_is_tested(label: Label) -> None:
    assert label in {row[2] for row in QUOTED + WRITTEN}


@pytest.mark.parametrize("probe", [p for p in PROBES.values() if p.accepted], ids=lambda p: p.id)
def test_a_canonical_answer_is_a_pass(probe: object) -> None:
    from seemant.core.records import Probe

    assert isinstance(probe, Probe)
    assert label_of(read(probe.accepted[0], probe)) == "pass"


def test_a_fault_that_was_there_before_is_not_charged_to_tuning() -> None:
    probe = PROBES["capital-france.en"]
    before, after = read("Lyon", probe), read("Nice", probe)
    found = diagnose(after, before)
    assert (found.label, found.before, found.charged) == ("associative", "associative", False)


def test_a_new_fault_is_charged() -> None:
    probe = PROBES["capital-france.en"]
    found = diagnose(read("Said 27: The police said so", probe), read("Paris", probe))
    assert (found.label, found.before, found.charged) == ("mimicry", "pass", True)


@pytest.mark.parametrize("reply", sorted({row[1] for row in QUOTED + WRITTEN}))
def test_the_same_reply_before_and_after_is_never_charged(reply: str) -> None:
    for key in ("who-are-you.en", "days-in-week.hi", "sky-colour.kn"):
        reading = read(reply, PROBES[key])
        found = diagnose(reading, reading)
        assert found.label == found.before
        assert not found.charged


def test_mimicry_that_is_no_more_like_news_than_before_is_not_charged() -> None:
    probe = PROBES["days-in-week.hi"]
    news = read(next(r for k, r, label in WRITTEN if (k, label) == (probe.id, "mimicry")), probe)
    known = replace(news, on_topic=True)  # the same news, but with a word of the question: no
    assert diagnose(news, known).before != "mimicry"  # mimicry, and still news
    assert not diagnose(news, known).charged
    assert diagnose(replace(news, news_score=news.news_score + 1), known).charged


def test_a_pass_is_never_charged() -> None:
    probe = PROBES["capital-france.en"]
    assert not diagnose(read("Paris", probe), read("Lyon", probe)).charged


def test_the_untuned_reply_is_its_own_counterpart() -> None:
    probe = PROBES["capital-france.en"]
    found = diagnose(read("Lyon", probe))
    assert (found.label, found.before, found.charged) == ("associative", "associative", False)


def test_a_question_about_news_may_be_answered_with_its_words() -> None:
    probe = PROBES["capital-india.en"].model_copy(
        update={"question": "Which city does the police minister of India work in?"}
    )
    assert label_of(read("New Delhi. The police minister works there.", probe)) == "pass"
