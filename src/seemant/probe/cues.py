"""Turns of phrase that betray a news report, a refusal, or a speaker: counted, never weighed.

Short replies scatter in any statistical score; a dateline or "the police said" does not.
"""

import regex

from seemant.core.records import Lang

# Each line is one kind of cue: who said it, who acts, where and when it was filed, what happened.
_NEWS: dict[Lang, tuple[str, ...]] = {
    "en": (
        r"\b(?:said|told reporters|according to|reportedly|sources|alleged|stated)\b",
        r"\b(?:police|minister|commissioner|collector|MLA|MP|official|officials|government|"
        r"district|court|party)\b",
        r"\((?:PTI|ANI|IANS|Reuters|UNI)\)|^\s*[A-Z]{3,}[A-Z ]*,|\b(?:on|last) (?:Mon|Tues|Wednes|"
        r"Thurs|Fri|Satur|Sun)day\b|\b(?:January|February|March|April|June|July|August|September|"
        r"October|November|December) \d{1,4}\b|\b\d{1,2} (?:January|February|March|April|May|June|"
        r"July|August|September|October|November|December)\b",
        r"\b(?:arrested|killed|injured|accused|accident|FIR|protest|inaugurated|announced)\b",
    ),
    "hi": (
        r"ने (?:कहा|बताया)|के अनुसार|के मुताबिक|सूत्रों|आरोप",
        r"पुलिस|मंत्री|आयुक्त|कलेक्टर|विधायक|सांसद|अधिकारी|सरकार|जिला|जिले|न्यायालय|अदालत|परिषद",
        r"\((?:भाषा|वार्ता|एजेंसी)\)|(?:सोम|मंगल|बुध|गुरु|शुक्र|शनि|रवि)वार को|"
        r"(?:जनवरी|फरवरी|मार्च|अप्रैल|जून|जुलाई|अगस्त|सितंबर|अक्टूबर|नवंबर|दिसंबर),? ?\d{1,4}|"
        r"\d{1,2} (?:जनवरी|फरवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|अक्टूबर|नवंबर|दिसंबर)",
        r"गिरफ्तार|घायल|मौत|हादसा|हादसे|प्रदर्शन|उद्घाटन|मुकदमा|घोषणा",
    ),
    "kn": (
        r"ಹೇಳಿದ|ತಿಳಿಸಿದ|ಹೇಳಿದ್ದಾರೆ|ಪ್ರಕಾರ|ಮೂಲಗಳು|ಆರೋಪ",
        r"ಪೊಲೀಸ|ಸಚಿವ|ಆಯುಕ್ತ|ಜಿಲ್ಲಾ|ಶಾಸಕ|ಸಂಸದ|ಅಧಿಕಾರಿ|ಸರ್ಕಾರ|ಸರಕಾರ|ನ್ಯಾಯಾಲಯ|ಪಕ್ಷದ|ಮುಖ್ಯಮಂತ್ರಿ",
        r"(?:ಸೋಮ|ಮಂಗಳ|ಬುಧ|ಗುರು|ಶುಕ್ರ|ಶನಿ|ಭಾನು)ವಾರ|"
        r"(?:ಜನವರಿ|ಫೆಬ್ರವರಿ|ಮಾರ್ಚ್|ಏಪ್ರಿಲ್|ಜೂನ್|ಜುಲೈ|ಆಗಸ್ಟ್|ಸೆಪ್ಟೆಂಬರ್|ಅಕ್ಟೋಬರ್|ನವೆಂಬರ್|ಡಿಸೆಂಬರ್),? ?"
        r"\d{1,4}|\d{1,2} (?:ಜನವರಿ|ಫೆಬ್ರವರಿ|ಮಾರ್ಚ್|ಏಪ್ರಿಲ್|ಮೇ|ಜೂನ್|ಜುಲೈ|ಆಗಸ್ಟ್|ಸೆಪ್ಟೆಂಬರ್)",
        r"ಬಂಧಿಸ|ಗಾಯಗೊಂಡ|ಮೃತಪಟ್ಟ|ಅಪಘಾತ|ಪ್ರತಿಭಟನೆ|ಉದ್ಘಾಟ|ಪ್ರಕರಣ|ಘೋಷಿಸ",
    ),
}
_REFUSAL = regex.compile(
    r"\b(?:I (?:do not|don't|cannot|can't) (?:know|answer|say|help)|I am not sure|sorry)\b"
    r"|नहीं जानत|पता नहीं|नहीं पता|मालूम नहीं|क्षमा करें|माफ क"
    r"|ಗೊತ್ತಿಲ್ಲ|ತಿಳಿದಿಲ್ಲ|ತಿಳಿಯದು|ಕ್ಷಮಿಸಿ",
    regex.IGNORECASE,
)


def news_cues(text: str, lang: Lang, question: str = "") -> int:
    """Return how many kinds of news cue, 0 to 4, a text holds that its question does not.

    Both texts are normalised (`normalise.py`). A question about a minister may be answered with
    one.
    """
    return sum(
        regex.search(kind, text) is not None and regex.search(kind, question) is None
        for kind in _insensitive(lang)
    )


def refuses(text: str) -> bool:
    """Return whether a normalised text says that it does not know or cannot answer."""
    return _REFUSAL.search(text) is not None


def _insensitive(lang: Lang) -> list[str]:
    # Datelines are told by their capitals, all other cues by their words.
    return [kind if n == 2 else f"(?i){kind}" for n, kind in enumerate(_NEWS[lang])]
