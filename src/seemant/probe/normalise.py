"""One form for texts that read the same, so that answers can be compared.

NFC, no joiners, no nukta, ASCII digits, one nasal sign. Used for matching only: transcripts keep
what the model wrote.
"""

import unicodedata

import regex

_NUKTA = {0x093C: None, 0x0CBC: None}
_JOINERS = {0x200B: None, 0x200C: None, 0x200D: None, 0x2060: None, 0xFEFF: None}
_DIGITS = {  # of every script: Devanagari, Kannada, Arabic, full width ...
    point: str(unicodedata.decimal(chr(point)))
    for point in range(0x80, 0x20000)
    if unicodedata.category(chr(point)) == "Nd"
}
_SIGNS = {0x0901: "\u0902", 0x2019: "'", 0x2018: "'", 0x2212: "-"}  # ँ is written ं as often
_TABLE = {**_JOINERS, **_DIGITS, **_SIGNS}

# A nasal before a consonant of its own row is the anusvara in another spelling: हिन्दी = हिंदी.
_NASAL = regex.compile(r"ङ्(?=[कखगघ])|ञ्(?=[चछजझ])|ण्(?=[टठडढ])|न्(?=[तथदध])|म्(?=[पफबभ])")
# A space that holds a number together: 100 000 with a narrow one is one number.
_APART = regex.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_DOTTED_CAPS = regex.compile(r"\b(?:\p{Lu}\.){2,}")


def normalise(text: str) -> str:
    """Return the text in the form in which answers are compared; white space becomes one space.

    Lines are kept apart, as a new line ends a sentence.
    """
    text = _APART.sub("", text)
    # Some nukta letters exist only composed, others only decomposed: take all apart first.
    text = unicodedata.normalize("NFD", text).translate(_NUKTA)
    text = unicodedata.normalize("NFC", text).translate(_TABLE)
    text = _NASAL.sub("ं", text)
    text = _DOTTED_CAPS.sub(lambda found: found[0].replace(".", ""), text)  # A.I. -> AI
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
