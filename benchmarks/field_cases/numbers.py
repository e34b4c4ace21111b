"""Numbers in answers: each line that the shared script prints, and further forms of each kind."""

import json
import re
from collections.abc import Callable

from field_cases.place import Case, Place, went_well

Check = Callable[[Place], str | None]
WRONG = {"2,00,000", "10,00,000"}  # of the shared script's replies; all others are right
_LINE = re.compile(r"^(hi|kn|en) accepted=(\S+)\s+reply='(.*?)'\s+correct=(True|False|None)")

ASK = """
import json
from seemant.core.records import Probe
from seemant.probe.match import match
given = json.load(open("given.json", encoding="utf-8"))
for reply in given["replies"]:
    probe = Probe(id="x.hi", lang="hi", category="fact", question=given["question"],
                  accepted=(given["accepted"],), distractors=("200000",))
    print(json.dumps([reply, match(reply, probe).correct]))
"""


def _shared(place: Place) -> str | None:
    done = place.python("match_numbers.py")
    if wrong := went_well(done):
        return wrong
    lines = [_LINE.match(line) for line in done.out.splitlines()]
    if len(lines) < 25 or None in lines:
        return f"{len(lines)} lines, of which some do not read"
    bad = [found[0] for found in lines if found and (found[4] == "True") == (found[3] in WRONG)]
    return f"wrong: {bad}" if bad else None


def _judged(accepted: str, right: list[str], wrong: list[str], question: str = "कितना है?") -> Check:
    """Judge replies by the matcher: all of `right` are, none of `wrong` is."""

    def check(place: Place) -> str | None:
        given = {"question": question, "accepted": accepted, "replies": [*right, *wrong]}
        (place.inputs / "given.json").write_text(json.dumps(given))
        done = place.python("-c", ASK)
        if said := went_well(done):
            return said
        found = dict(json.loads(line) for line in done.out.splitlines())
        bad = [each for each in right if not found[each]]
        bad += [each for each in wrong if found[each]]
        return f"judged wrongly: {bad}" if bad else None

    return check


CASES = [
    Case("23", "each line of the shared script", _shared),
    Case(
        "23",
        "grouped in other numbers",
        _judged(
            "2500000",
            [
                "25,00,000",
                "२५,००,०००",
                "2,500,000",
                "೨೫,೦೦,೦೦೦",
                "2.500.000",
                "25 लाख",
                "2.5 million",
            ],
            ["2,50,000", "2,50,00,000", "25,000", "25 हज़ार", "-25,00,000", "25,00,000.5"],
        ),
    ),
    Case(
        "23",
        "words and digits",
        _judged(
            "15000000",
            ["1.5 करोड़", "डेढ़ करोड़", "1 करोड़ 50 लाख", "१.५ करोड़", "15 million", "150 lakh"],
            ["1.5 लाख", "15 करोड़", "1.5", "5 लाख", "1,50,000"],
        ),
    ),
    Case(
        "23",
        "decimals and signs",
        _judged(
            "-1.5",
            ["-1.5", "−१.५", "-1.50 डिग्री", "माइनस 1.5", "-1.5°C"],
            ["1.5", "-15", "3-1.5", "-1.55", "-1,5"],
        ),
    ),
    Case(
        "23",
        "shares",
        _judged(
            "12.5%",
            ["12.5%", "१२.५ प्रतिशत", "12.50 percent", "ಶೇ. 12.5", "12.5 %"],
            ["112.5%", "2.5%", "12.5 लाख", "12%"],
        ),
    ),
    Case(
        "23",
        "dates",
        _judged(
            "26 जनवरी 1950",
            ["26 जनवरी 1950", "२६ जनवरी १९५० को", "26/01/1950", "January 26, 1950", "1950-01-26"],
            ["25 जनवरी 1950", "26 फ़रवरी 1950", "26/01/1951", "1950"],
            "कब?",
        ),
    ),
    Case(
        "23",
        "a year in a date, not its day",
        _judged("26", ["26", "२६ ज़िले"], ["26 जनवरी 1950", "26/01/1950", "126", "2.6"]),
    ),
]
