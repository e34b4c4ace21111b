"""Which language a text is in, where it is none that is carried: by script, then by function words.

Script alone reads Marathi as Hindi and romanised Hindi as English. Function words are the
commonest words of a text and belong to one language each; the lists leave out words that two of
the languages of a script share.
"""

import re
import unicodedata
from collections import Counter
from functools import cache

from seemant.core.records import Lang
from seemant.corpus.scripts import LANGUAGE_NAMES, detect_lang

_OF_SCRIPT = {
    "TAMIL": "Tamil",
    "TELUGU": "Telugu",
    "MALAYALAM": "Malayalam",
    "BENGALI": "Bengali or Assamese",
    "GUJARATI": "Gujarati",
    "GURMUKHI": "Punjabi",
    "ORIYA": "Odia",
    "SINHALA": "Sinhala",
    "ARABIC": "Arabic or Persian",
    "OL": "Santali",
    "MEETEI": "Meitei",
    "TIBETAN": "Tibetan",
    "THAI": "Thai",
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "Russian or another language in Cyrillic",
    "GREEK": "Greek",
    "HEBREW": "Hebrew",
}
_WORD = re.compile(
    r"[^\s.,;:!?()\[\]\"“”‘’'।॥/|\d-]+"
)  # `regex`, whose words are exact, loads slowly
_URDU = set("ٹڈڑںےھہ")  # letters of Urdu that Arabic and Persian lack

_OWN: dict[Lang, str] = {
    "hi": "है हैं और में के को से था थे थी नहीं यह वह लिए भी इस उस हुआ रहा रहे अपने वाले जाता किया "
    "गया गई करने होता होती होते सकता सकते द्वारा तथा एवं",
    "en": "the of and that with was from have has this which for by been were their are an will "
    "would can not as it its on at be but or if they you we he she his her",
}
_OTHERS: dict[Lang, dict[str, str]] = {
    "hi": {
        "Marathi": "आहे आहेत आणि नाही नाहीत होता होती मध्ये म्हणून म्हणजे असे असा अशी केले केली "
        "झाले झाली झाला त्यांनी त्याने यांनी तसेच किंवा परंतु आपल्या त्यांच्या त्याच्या यांच्या याच्या "
        "त्या असून करून होऊन केल्या साठी आम्ही तुम्ही पाहिजे करतात असते असतात होते आहेस आहोत मला तुला",
        "Nepali": "छ छन् हुन् भयो थियो थिए गरेको गरेका गर्न गर्ने भने पनि लागि यो त्यो तर गर्छ हुन्छ "
        "भएको भएका छैन छिन् हामी तपाईं उनी अनि कुनै हुने गरी रहेको मलाई",
    },
    "en": {
        "Hindi in Latin letters": "hai hain nahi nahin nahe kya aur mein ka ki ke ko tha thi thay "
        "raha rahe rahi kuch bhi yeh ye woh wo hum aap tum mera meri mere apne karna karo kar liye "
        "wala wale toh jab tak lekin kyunki kyonki acha accha bahut kaise kahan ek iska uska hota "
        "hoti gaya gayi diya kiya",
        "Kannada in Latin letters": "idu adu alli illi mattu illa yenu enu hege nanna nimma avaru "
        "iddare maadi beku nanu neevu ivaru avanu avalu aadare athava ondu ide iruva endu",
        "French": "les des est et une dans pour que qui pas avec sur sont ce cette au aux du le la",
        "German": "der die das und ist nicht ein eine mit von zu den dem auf für auch sich wird",
        "Spanish": "el los las que una por con para es del se como su lo este",
    },
}
SAME_SCRIPT = {name: LANGUAGE_NAMES[lang] for lang, others in _OTHERS.items() for name in others}
"""A language that function words tell -> the one that its script alone would say."""
_CERTAIN = "आहे आहेत आणि नाही छन् थियो गरेको भएको हुन्छ छैन पनि hai hain nahi nahin mattu"
"""Words that tell by themselves where no function word of the script's own language stands."""


def other_language(text: str) -> str | None:
    """Return the name of the language that a text is in, if it is none of those carried.

    None where it is in one of them, or where nothing tells (a line of names, of digits). Between
    languages of one script a text counts as the other one when it has more of its function words
    than of the script's own, and two different ones, or one that is certain.
    """
    lang = detect_lang(text)
    foreign = _foreign_script(text)
    if foreign or lang is None:
        return foreign
    if lang not in _OTHERS:
        return None
    counts = Counter(_WORD.findall(text.lower()))
    own = sum(counts[word] for word in _words_of(_OWN[lang]))
    best, most, sure = None, 0, False
    for name, marks in _OTHERS[lang].items():
        hits = [word for word in _words_of(marks) if counts[word]]
        if (total := sum(counts[word] for word in hits)) > most:
            certain = own == 0 and bool(_words_of(_CERTAIN).intersection(hits))
            best, most, sure = name, total, certain or len(hits) >= 2
    return best if sure and most > own else None


def _foreign_script(text: str) -> str | None:
    """Return the language of a script that is not carried, where it has most of the letters."""
    if text.isascii():
        return None
    counts: Counter[str] = Counter()
    for character, n in Counter(text).items():
        if unicodedata.category(character)[0] in "LM":
            counts[_script_of(character)] += n
    if not counts:
        return None
    script = counts.most_common(1)[0][0]
    if script in ("DEVANAGARI", "KANNADA", "LATIN", ""):
        return None
    if script == "ARABIC" and _URDU & set(text):
        return "Urdu"
    return _OF_SCRIPT.get(script, f"a language in {script.capitalize()} script")


@cache
def _script_of(character: str) -> str:
    return unicodedata.name(character, "").replace("-", " ").partition(" ")[0]


@cache
def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())
