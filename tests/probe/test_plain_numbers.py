"""Numbers and dates are compared as what they are, whatever their script and grouping."""

import pytest

from seemant.core.records import Lang, Probe
from seemant.probe.match import match
from seemant.probe.normalise import normalise
from seemant.probe.plain_numbers import plain_numbers


def right(reply: str, accepted: str, lang: Lang = "hi", question: str = "ऊँचाई कितनी है?") -> bool:
    probe = Probe(
        id=f"x.{lang}",
        lang=lang,
        category="geography",
        question=question,
        accepted=(accepted,),
        distractors=("200000",),
    )
    return bool(match(reply, probe).correct)


HUNDRED_THOUSAND = [
    *("100000", "1,00,000", "100,000", "१,००,०००", "१०००००", "೧,೦೦,೦೦೦", "೧೦೦೦೦೦", "１０００００"),
    *("১,০০,০০০", "١٠٠٠٠٠", "100\u202f000", "100\u00a0000", "100'000", "100’000", "100000.00"),
    *("1 लाख", "१ लाख", "एक लाख", "1 lakh", "one lakh", "1-lakh", "1.0 lakh", "1 ಲಕ್ಷ", "ಒಂದು ಲಕ್ಷ"),
    *("one hundred thousand", "a lakh", "hundred thousand", "Rs. 1,00,000/-"),
    *("100 हज़ार", "100 thousand", "0.1 million", "100k", "100000mm", "100000 मि.मी.", "100000।"),
]


@pytest.mark.parametrize("form", HUNDRED_THOUSAND)
@pytest.mark.parametrize("accepted", ["100000", "1,00,000", "१,००,०००"])
def test_all_forms_of_a_number_are_that_number(form: str, accepted: str) -> None:
    for reply in (form, f"ऊँचाई {form} है।", f"The height is {form}."):
        assert right(reply, accepted), reply


@pytest.mark.parametrize(
    "reply",
    [
        *(
            "2,00,000",
            "10,00,000",
            "1,00,00",
            "1,00,0000",
            "1000000",
            "10 लाख",
            "1 हज़ार",
            "1.1 लाख",
        ),
        *("100.000", "1,00,000.5", "-1,00,000", "−100000", "minus 100000", "1,00,000%", "100000/2"),
        *("1 लाख 20 हज़ार", "1,100,000", "0.100000", "100000 लोग मारे गए", "1 लाख करोड़"),
    ],
)
def test_other_numbers_are_not(reply: str) -> None:
    assert not right(reply, "100000")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1.50", "1.5"),
        ("१.५", "1.5"),
        ("7.0", "7"),
        ("1 लाख 20 हज़ार", "120000"),
        ("2 crore 5 lakh", "20500000"),
        ("डेढ़ लाख", "150000"),
        ("2.5 ಕೋಟಿ", "25000000"),
        ("1.000.000", "1000000"),
        ("1.234,56", "1234,56"),
        ("100.000", "100"),
        ("5 लाख 7 करोड़", "5 लाख 7 करोड"),
        ("1,2,3", "1,2,3"),
        ("12,34", "12,34"),
        ("1,23,456 और 123,456", "123456 और 123456"),
        ("10.30.15", "10.30.15"),
        ("192.168.1.10", "192.168.1.10"),
        ("लाखों लोग", "लाखों लोग"),
        ("5 ಲಕ್ಷಣಗಳು", "5 ಲಕ್ಷಣಗಳು"),
        ("50 प्रतिशत", "50%"),
        ("50 percent", "50%"),
        ("ಶೇ. 50", "50%"),
        ("माइनस 40", "-40"),
        ("10 – 5", "10 – 5"),
    ],
)
def test_only_what_reads_one_way_is_rewritten(text: str, plain: str) -> None:
    assert plain_numbers(normalise(text)) == normalise(plain)


@pytest.mark.parametrize(
    ("reply", "accepted", "is_right"),
    [
        ("1.5", "१.५", True),
        ("१.५ किलो", "1.50", True),
        ("11.5", "1.5", False),
        ("1.55", "1.5", False),
        ("2.1.5", "1.5", False),
        ("-40", "-40", True),
        ("−४०°C", "-40", True),
        ("माइनस 40", "-40", True),
        ("40", "-40", False),
        ("60-40", "-40", False),
        ("-40", "40", False),
        ("50%", "50 प्रतिशत", True),
        ("ಶೇಕಡಾ 50", "50%", True),
        ("150%", "50%", False),
        ("0.5%", "5%", False),
        ("8849m", "8849", True),
        ("8849meters", "8849", False),
        ("37°C", "37", True),
    ],
)
def test_decimals_signs_shares_and_units(reply: str, accepted: str, is_right: bool) -> None:
    assert right(reply, accepted) is is_right


def test_a_bare_multiplier_is_its_number() -> None:
    for reply in ("हज़ार", "एक हज़ार", "1000", "1,000", "एक हज़ार मीटर"):
        assert right(reply, "हज़ार"), reply
    assert not right("5 हज़ार", "हज़ार") and not right("एक लाख", "हज़ार")


def test_a_sign_belongs_to_the_answer_where_the_question_asks_for_it() -> None:
    assert right("50%", "50", question="कितने प्रतिशत?") and not right("50%", "50")
    assert right("₹1,00,000", "100000", question="कितने रुपये?") and not right("₹1,00,000", "100000")


@pytest.mark.parametrize("accepted", ["15 अगस्त 1947", "15 August 1947", "15/08/1947", "1947-08-15"])
@pytest.mark.parametrize(
    "reply",
    [
        *(
            "15 अगस्त 1947",
            "१५ अगस्त १९४७ को",
            "15 August 1947",
            "August 15, 1947",
            "15th of Aug 1947",
        ),
        *("15/08/1947", "15-8-1947", "15.08.1947", "1947-08-15", "ಆಗಸ್ಟ್ 15, 1947", "15 ಆಗಸ್ಟ್ 1947"),
    ],
)
def test_all_forms_of_a_date_are_that_date(reply: str, accepted: str) -> None:
    assert right(reply, accepted, question="कब?")
    assert right(reply, "1947", question="किस साल?")
    assert not right(reply, "15", question="कितने?") and not right(reply, "8", question="कितने?")


@pytest.mark.parametrize("reply", ["16 अगस्त 1947", "15 सितंबर 1947", "15/09/1947", "15 अगस्त 1948"])
def test_other_dates_are_not(reply: str) -> None:
    assert not right(reply, "15 अगस्त 1947", question="कब?")
