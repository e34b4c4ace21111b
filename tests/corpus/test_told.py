"""A language that is not carried is called by its name; one that is carried is left alone.

The sentences are Article 1 of the Universal Declaration of Human Rights, as published in each
language, and plain ones in the manner of chats.
"""

from pathlib import Path

import pytest

from seemant.core.errors import BadRecord
from seemant.corpus.config import CorpusConfig
from seemant.corpus.gather import from_files
from seemant.corpus.shipped import shipped
from seemant.corpus.told import other_language

ARTICLE_1 = {
    "Marathi": "सर्व मानवी व्यक्ति जन्मतःच स्वतंत्र आहेत व त्यांना समान प्रतिष्ठा व समान अधिकार आहेत. "
    "त्यांना विचारशक्ती व सदसद्विवेकबुद्धी लाभलेली आहे.",
    "Nepali": "सबै व्यक्तिहरू जन्मजात स्वतन्त्र हुन् ती सबैको समान अधिकार र महत्व छ।",
    "Tamil": "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.",
    "Telugu": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.",
    "Malayalam": "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി ജനിച്ചിട്ടുള്ളവരാണ്.",
    "Gujarati": "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે.",
    "Urdu": "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔",
    "French": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit "
    "Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "Spanish": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y deben "
    "comportarse fraternalmente los unos con los otros.",
}
CHATS = {
    "Marathi": ["हे पुस्तक चांगले आहे", "मला आणि तुला घरी जायचे आहे", "पाऊस नाही"],
    "Nepali": ["म घर जान्छु तर ऊ आएको छैन", "यो किताब राम्रो छ", "हामी पनि जान्छौं"],
    "Hindi in Latin letters": ["mera naam Ravi hai", "kal barish nahi hui", "aap kahan ja rahe ho"],
    "Kannada in Latin letters": ["nanna hesaru Ravi mattu idu nanna mane", "avaru illi illa"],
}
CARRIED = [
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "यह काम पूरा होता है तो हम घर जाते हैं",
    "भारत की राजधानी?",
    "छ महीने बाद",
    "5 मी लंबा",
    "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ.",
    "All human beings are born free and equal in dignity and rights.",
    "Old soldiers die hard.",
    "Los Angeles and Al Capone",
    "Ravi, Delhi 110001",
    "2026",
]


@pytest.mark.parametrize("name", ARTICLE_1)
def test_a_published_text_is_told(name: str) -> None:
    assert other_language(ARTICLE_1[name]) == name


@pytest.mark.parametrize(
    ("name", "line"), [(n, each) for n, lines in CHATS.items() for each in lines]
)
def test_a_short_line_is_told(name: str, line: str) -> None:
    assert other_language(line) == name


@pytest.mark.parametrize("line", CARRIED)
def test_what_is_carried_is_left_alone(line: str) -> None:
    assert other_language(line) is None


@pytest.mark.parametrize("lang", ["hi", "kn", "en"])
def test_no_paragraph_that_ships_is_called_foreign(lang: str) -> None:
    assert [p.id for p in shipped(lang) if other_language(p.text)] == []  # type: ignore[arg-type]


def lines(tmp_path: Path, *texts: str) -> list[tuple[Path, str]]:
    path = tmp_path / "my.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return [(path, "my.txt")]


def test_a_file_in_marathi_is_refused_by_its_name(tmp_path: Path) -> None:
    text = [f"{n}. {line}" for n in range(5) for line in CHATS["Marathi"]]
    with pytest.raises(BadRecord, match=r"Marathi \(15\)") as refused:
        from_files(CorpusConfig(), lines(tmp_path, *text))
    assert "Hindi, Kannada, English" in str(refused.value.fix)
    assert "--keep-others" in str(refused.value.fix)
    kept = from_files(CorpusConfig(keep_others=True), lines(tmp_path, *text))
    assert {p.lang for p in kept.paragraphs} == {"hi"}


def test_a_file_in_tamil_is_refused_without_a_way_to_keep_it(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="Tamil") as refused:
        from_files(CorpusConfig(), lines(tmp_path, ARTICLE_1["Tamil"]))
    assert "--keep-others" not in str(refused.value.fix)


def test_a_mixed_file_says_its_shares(tmp_path: Path) -> None:
    text = [CARRIED[0], ARTICLE_1["Marathi"], ARTICLE_1["Nepali"], ARTICLE_1["Tamil"], CARRIED[1]]
    found = from_files(CorpusConfig(languages=("hi",)), lines(tmp_path, *text))
    assert len(found.paragraphs) == 2
    assert found.notes[-1] == (
        "Of 5 lines that were met these are in other languages, set aside: "
        "Marathi 1, Nepali 1, Tamil 1."
    )


def test_a_language_that_is_carried_but_not_asked_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"Hindi \(1\)") as refused:
        from_files(CorpusConfig(languages=("kn",)), lines(tmp_path, CARRIED[0]))
    assert "--languages hi" in str(refused.value.fix)
