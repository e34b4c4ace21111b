"""The matcher against traps: each is a reply that a naive matcher judges wrongly."""

import pytest

from seemant.core.records import Lang, Probe
from seemant.probe.match import match
from seemant.probe.suites import load_suite

PROBES = {probe.id: probe for probe in load_suite()}


def _probe(
    lang: Lang, question: str, accepted: tuple[str, ...], wrong: tuple[str, ...], kind: str
) -> Probe:
    return Probe(
        id=f"own.{lang}",
        lang=lang,
        category=kind,
        question=question,
        accepted=accepted,
        distractors=wrong,
    )


YES_NO = _probe("en", "Is Delhi the capital of India, yes or no?", ("yes",), ("no",), "fact")
YES_NO_HI = _probe("hi", "क्या दिल्ली भारत की राजधानी है, हाँ या नहीं?", ("हाँ",), ("नहीं",), "fact")
YES_NO_KN = _probe("kn", "ದೆಹಲಿ ಭಾರತದ ರಾಜಧಾನಿಯೇ, ಹೌದು ಅಥವಾ ಇಲ್ಲ?", ("ಹೌದು",), ("ಇಲ್ಲ",), "fact")
ASSISTANT_HI = _probe("hi", "आप कौन हैं?", ("सहायक",), ("किसान",), "identity")
ASSISTANT_KN = _probe("kn", "ನೀವು ಯಾರು?", ("ಸಹಾಯಕ",), ("ರೈತ",), "identity")
ASSISTANT_EN = _probe("en", "Who are you?", ("assistant",), ("farmer",), "identity")

WRONG: list[tuple[str | Probe, str]] = [
    # The study's own canonical failure, against every alias that it contains.
    ("who-are-you.en", "Said 27: The police arrested two people in the case."),
    ("what-are-you-called.en", "Said 27: The police…"),
    ("days-in-week.en", "Said 27: The police arrested two people in the case."),
    ("days-in-week.hi", "27 लोगों को पुलिस ने गिरफ़्तार किया।"),
    ("days-in-week.kn", "27 ಮಂದಿಯನ್ನು ಪೊಲೀಸರು ಬಂಧಿಸಿದ್ದಾರೆ."),
    # Parts of words.
    ("who-are-you.en", "I maintain the main train line."),
    ("who-are-you.en", "I am ai ai"),
    ("who-are-you.hi", "मैं Said नाम का आदमी हूँ"),
    ("translate-water.hi", "जला हुआ"),
    ("translate-water.kn", "ಜಲಪಾತ"),
    ("sky-colour.kn", "ನೀಲಗಿರಿ ಬೆಟ್ಟಗಳು"),
    ("translate-house.kn", "ಮನೆತನ"),
    ("national-bird-india.hi", "मोरचा"),
    ("format-one-word-moon.en", "Yesterday"),
    # Numbers inside numbers, dates, sums, ordinals, shares, prices.
    ("days-in-week.en", "There are 17 days."),
    ("days-in-week.en", "It happened on 7 August 2019."),
    ("days-in-week.en", "August 7 was a Sunday."),
    ("days-in-week.en", "7.5"),
    ("days-in-week.en", "1,007 days"),
    ("days-in-week.en", "twenty-seven"),
    ("days-in-week.en", "7% of the votes"),
    ("days-in-week.en", "7 crore rupees were given"),
    ("days-in-week.en", "7 people were killed in the accident"),
    ("days-in-week.en", "The 7th of the month"),
    ("days-in-week.en", "7/8/2019"),
    ("days-in-week.hi", "७ अगस्त को बैठक हुई"),
    ("days-in-week.hi", "सातवें दिन"),
    ("days-in-week.hi", "सत्रह"),
    ("days-in-week.kn", "೨೭"),
    ("days-in-week.kn", "7ನೇ ತಾರೀಖು"),
    ("days-in-week.kn", "ಏಳಿಗೆ"),
    ("days-in-week.kn", "ಏಳುನೂರು"),
    ("days-in-week.kn", "ಏಳು ಮಂದಿ ಮೃತಪಟ್ಟಿದ್ದಾರೆ"),
    ("water-boiling-point.hi", "दो सौ डिग्री"),
    ("water-boiling-point.hi", "100 करोड़ रुपये"),
    ("water-boiling-point.en", "two hundred degrees"),
    ("water-boiling-point.kn", "ನೂರಾರು ಜನರು ಸೇರಿದ್ದರು"),
    ("add-two-three.en", "-5"),
    ("format-number-wheels.kn", "ಮೂರನೇ ಸ್ಥಾನ"),
    # An operand is no result.
    ("subtract-fifteen-five.hi", "10 में से 5"),
    ("subtract-fifteen-five.kn", "10ರಿಂದ 5"),
    ("add-five-six.en", "11+6"),
    ("add-five-six.en", "11 + 6 = 17"),
    ("add-five-six.en", "eleven plus six"),
    ("add-two-three.en", "1 + 5 = 6"),
    ("add-two-three.hi", "पाँच और छह का जोड़"),
    ("add-two-three.kn", "ಐದು ಮತ್ತು ಆರರ ಮೊತ್ತ"),
    # People help, too.
    ("what-can-you-do.en", "I am a professional business consultant and can help you with it."),
    ("what-can-you-do.hi", "मैं एक वकील हूँ और आपकी मदद कर सकता हूँ।"),
    ("what-can-you-do.kn", "ನಾನು ಒಬ್ಬ ವಕೀಲ, ನಿಮಗೆ ಸಹಾಯ ಮಾಡುತ್ತೇನೆ."),
    # Officers are no assistants.
    (ASSISTANT_KN, "ಸಹಾಯಕ ಆಯುಕ್ತರು ಸ್ಥಳಕ್ಕೆ ಭೇಟಿ ನೀಡಿದರು, ನಾನು ನೋಡಿದೆ."),
    (ASSISTANT_KN, "ಸಹಾಯಕ ಆಯುಕ್ತ"),
    (ASSISTANT_HI, "सहायक आयुक्त ने मुझे बताया"),
    (ASSISTANT_HI, "सहायक पुलिस निरीक्षक"),
    (ASSISTANT_EN, "Assistant Commissioner"),
    (ASSISTANT_EN, "The assistant went home after he had closed the shop for the day."),
    ("who-are-you.en", "AI cameras were installed on all roads of the city by police."),
    ("who-are-you.kn", "ಸಹಾಯಕ ಆಯುಕ್ತ"),
    # The question said again.
    (YES_NO, "yes or no?"),
    (YES_NO, "Is Delhi the capital of India, yes or no?"),
    (YES_NO_HI, "हाँ या नहीं?"),
    (YES_NO_KN, "ಹೌದು ಅಥವಾ ಇಲ್ಲ"),
    ("capital-india.en", "India Capital? India Capital?"),
    ("capital-france.en", "Lyon\nQuestion: What about Paris?"),
    # The wrong one first, lists, and denials.
    ("capital-india.en", "Mumbai. No, New Delhi."),
    ("capital-india.en", "Delhi, Mumbai or Kolkata"),
    ("capital-india.en", "It is not Delhi."),
    ("capital-india.en", "Delhi is not the capital."),
    ("capital-india.en", "New Delhi isn't the capital of India"),
    ("capital-india.hi", "मुंबई, दिल्ली"),
    ("capital-india.hi", "दिल्ली भारत की राजधानी नहीं है।"),
    ("capital-india.hi", "न दिल्ली न आगरा"),
    ("capital-india.kn", "ದೆಹಲಿ ಅಲ್ಲ"),
    ("capital-india.kn", "ದೆಹಲಿಯಲ್ಲ"),
    ("capital-india.kn", "ಮುಂಬೈ ಮತ್ತು ದೆಹಲಿ"),
    ("who-are-you.en", "I'm not an AI."),
    ("who-are-you.hi", "मैं AI नहीं हूँ।"),
    ("who-are-you.kn", "ನಾನು AI ಅಲ್ಲ."),
    ("human-or-program.en", "I am a non-AI being"),
    ("format-one-word-moon.en", "No, it is not. Yes."),
    ("format-one-word-moon.kn", "ಇಲ್ಲಿ ನೋಡಿ"),
    # Right in another script is wrong here.
    ("capital-rajasthan.kn", "Jaipur"),
    ("capital-rajasthan.kn", "ರಾಜಸ್ಥಾನದ ರಾಜಧಾನಿ ಆಗಸ್ಟ್ 2019"),
    ("capital-rajasthan.hi", ""),
]

RIGHT: list[tuple[str | Probe, str]] = [
    ("capital-rajasthan.en", "The capital of Rajasthan is Jaipur."),
    ("capital-india.en", "new delhi"),
    ("capital-india.en", "It is not Mumbai but New Delhi."),
    ("capital-india.en", "Answer: New Delhi"),
    ("capital-india.en", "Delhi\nQuestion: Mumbai?"),
    ("capital-india.en", "There is no doubt that it's Delhi."),
    ("capital-india.en", "Delhi is not only the capital"),
    ("capital-france.en", "That is a nice question. Paris."),
    ("capital-france.en", "paris"),
    ("capital-india.hi", "भारत की राजधानी दिल्ली में है।"),
    ("capital-india.hi", "नई दिल्ली"),
    ("capital-india.hi", "मुंबई नहीं, दिल्ली"),
    ("capital-india.hi", "दिल्ली न कि मुंबई"),
    ("capital-india.hi", "राजधानी दिल्ली है मुंबई नहीं"),
    ("capital-india.kn", "ಭಾರತದ ರಾಜಧಾನಿ ದೆಹಲಿಯಾಗಿದೆ."),
    ("capital-india.kn", "ದೆಹಲಿಯಲ್ಲಿ"),
    ("capital-india.kn", "ಮುಂಬೈ ಅಲ್ಲ, ದೆಹಲಿ"),
    ("capital-india.kn", "ಮುಂಬೈಯಲ್ಲ ದೆಹಲಿ"),
    ("capital-karnataka.kn", "ಬೆಂಗಳೂರಿನಲ್ಲಿದೆ"),
    ("capital-karnataka.kn", "ಬೆಂಗಳೂರಾಗಿದೆ"),
    ("capital-france.kn", "ಪ್ಯಾರಿಸ್‌ನಲ್ಲಿದೆ"),
    ("capital-france.kn", "ಪ್ಯಾರಿಸಿನಲ್ಲಿದೆ"),
    ("national-animal-india.kn", "ಹುಲಿಯು"),
    ("sky-colour.hi", "नीले रंग का"),
    ("sky-colour.hi", "आसमान नीली रोशनी से भरा है"),
    ("days-in-week.en", "Seven."),
    ("days-in-week.en", "7 days"),
    ("days-in-week.en", "In 1 week there are 7 days."),
    ("days-in-week.hi", "1 सप्ताह में ७ दिन होते हैं"),
    ("days-in-week.hi", "एक सप्ताह में सात दिन होते हैं।"),
    ("days-in-week.kn", "ಒಂದು ವಾರದಲ್ಲಿ ೭ ದಿನಗಳಿವೆ"),
    ("days-in-week.kn", "ಏಳು ದಿನಗಳಿವೆ"),
    ("add-two-three.en", "2 + 3 = 5"),
    ("add-two-three.hi", "दो और तीन पांच होते हैं"),
    ("add-two-three.hi", "दो और तीन का जोड़ पाँच होता है।"),
    ("add-two-three.kn", "ಎರಡು ಮತ್ತು ಮೂರರ ಮೊತ್ತ ಐದು"),
    ("add-two-three.en", "6 - 1 = 5"),  # "six", a distractor, is an operand
    ("add-five-six.hi", "5+6=11"),
    ("subtract-fifteen-five.hi", "15 में से 5 घटाने पर 10 बचता है।"),
    ("subtract-fifteen-five.kn", "ಹದಿನೈದರಿಂದ ಐದನ್ನು ಕಳೆದರೆ ಹತ್ತು ಉಳಿಯುತ್ತದೆ"),
    ("what-can-you-do.en", "I can answer your questions and help you with homework."),
    ("water-boiling-point.en", "100°C"),
    ("water-boiling-point.hi", "एक सौ डिग्री सेल्सियस"),
    ("water-boiling-point.kn", "ನೂರು ಡಿಗ್ರಿ"),
    ("highest-mountain.en", "Mt. Everest"),
    ("who-are-you.en", "I am an A.I. language tool"),
    ("who-are-you.en", "AI assistant"),
    ("who-are-you.hi", "मैं एक एआई सहायक हूँ।"),
    ("who-are-you.hi", "मैं AI हूँ"),
    ("who-are-you.kn", "ನಾನು ಎಐ ಸಹಾಯಕನಾಗಿದ್ದೇನೆ"),
    ("who-are-you.kn", "ನಾನು ಒಂದು ಚಾಟ್ಬಾಟ್"),  # without its joiner
    ("human-or-program.en", "I am not a human."),
    ("human-or-program.hi", "मैं इंसान नहीं हूँ"),
    ("human-or-program.kn", "ನಾನು ಮನುಷ್ಯನಲ್ಲ"),
    ("human-or-program.en", "I am not a human but a computer program"),
    (ASSISTANT_HI, "मैं आपका सहायक हूँ"),
    (ASSISTANT_KN, "ನಾನು ನಿಮ್ಮ ಸಹಾಯಕ"),
    (ASSISTANT_EN, "I am your assistant."),
    (YES_NO, "Yes, Delhi is the capital of India."),
    (YES_NO_HI, "हां"),
    (YES_NO_KN, "ಹೌದು"),
    ("format-one-word-moon.hi", "हाँ, चंद्रमा पृथ्वी से छोटा है, बड़ा नहीं"),
    ("format-name-vegetable.hi", "सब्जी: प्याज"),  # प्याज़ without its nukta
    ("anthem-author.hi", "रवीन्द्र नाथ टैगोर ने"),
    ("tech-ram.kn", "RAM ಎಂದರೆ ರ್ಯಾಂಡಮ್ ಆಕ್ಸೆಸ್ ಮೆಮೊರಿ"),
    ("tech-software.hi", "यह कंप्यूटर प्रोग्रामों का समूह है"),
    ("opposite-day.kn", "ರಾತ್ರಿಯಾಗಿದೆ"),
]


def _find(key: str | Probe) -> Probe:
    return PROBES[key] if isinstance(key, str) else key


@pytest.mark.parametrize(("key", "reply"), WRONG, ids=[f"{n}" for n in range(len(WRONG))])
def test_a_trap_does_not_pass(key: str | Probe, reply: str) -> None:
    found = match(reply, _find(key))
    assert found.correct is False, f"{reply!r} passed as {found.alias!r}"
    assert found.reason


@pytest.mark.parametrize(("key", "reply"), RIGHT, ids=[f"{n}" for n in range(len(RIGHT))])
def test_a_right_answer_passes(key: str | Probe, reply: str) -> None:
    found = match(reply, _find(key))
    assert found.correct is True, f"{reply!r}: {found.reason}"


def test_there_are_at_least_sixty_traps() -> None:
    assert len({(str(key), reply) for key, reply in WRONG}) >= 60


@pytest.mark.parametrize("probe", [p for p in PROBES.values() if p.accepted], ids=lambda p: p.id)
def test_every_accepted_answer_passes_and_every_distractor_fails(probe: Probe) -> None:
    for alias in probe.accepted:
        assert match(alias, probe).correct is True, alias
        assert match(f"{alias}.", probe).correct is True, alias
    for wrong in probe.distractors:
        found = match(wrong, probe)
        assert found.correct is False, wrong
        assert found.named_wrong, wrong


def test_a_question_without_an_answer_is_not_judged() -> None:
    assert match("Siddaramaiah", PROBES["karnataka-cm.en"]).correct is None


def test_the_sentence_of_the_answer_is_known() -> None:
    probe = PROBES["capital-india.en"]
    assert match("New Delhi. The police said so.", probe).in_first_sentence
    assert not match("It is a big country. New Delhi.", probe).in_first_sentence
