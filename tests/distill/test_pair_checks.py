"""Each check against pairs that must pass and traps that must not, in three languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.records import LANGUAGES, Lang
from seemant.distill.checks import CHECKS, Candidate, judge, normalised
from seemant.distill.examples import cues, examples
from seemant.distill.words import has_number, is_interrogative, numerals, share_found, stem, tokens

TEXTS: dict[Lang, str] = {
    "hi": "सोनपुरी की नगर परिषद ने सोमवार को पुराने बस अड्डे की मरम्मत के लिए 2,40,000 रुपये "
    "मंज़ूर किए। परिषद अध्यक्ष विमला सरोही ने बताया कि छत का काम पहले होगा।",
    "kn": "ಹಸಿರುಕೊಪ್ಪದ ಹನ್ನೆರಡು ಗ್ರಾಮಗಳಲ್ಲಿ ಈ ಬಾರಿ ರಾಗಿ ಇಳುವರಿ ಶೇ 18ರಷ್ಟು ಹೆಚ್ಚಿದೆ. "
    "ಸಕಾಲಕ್ಕೆ ಬಿದ್ದ ಮಳೆಯೇ ಇದಕ್ಕೆ ಕಾರಣ ಎಂದು ಕೃಷಿ ಅಧಿಕಾರಿ ನಂಜಪ್ಪ ಸೋಮವಾರ ತಿಳಿಸಿದರು.",
    "en": "The ferry to Gull Island will stop for three weeks while engineers replace its engine. "
    "Harbour manager Tovi Larsholt announced the closure on Thursday.",
}

GOOD: list[tuple[Lang, str, str]] = [
    ("hi", "बस अड्डे की मरम्मत के लिए कितने रुपये मंज़ूर किए गए?", "2,40,000 रुपये"),
    ("hi", "पुराने बस अड्डे की मरम्मत के लिए कितने रुपये मंजूर हुए?", "२४०००० रुपये"),
    ("hi", "परिषद की अध्यक्ष कौन हैं?", "विमला सरोही"),
    ("kn", "ರಾಗಿ ಇಳುವರಿ ಶೇಕಡಾ ಎಷ್ಟು ಹೆಚ್ಚಿದೆ?", "ಶೇ 18"),
    ("kn", "ಕೃಷಿ ಅಧಿಕಾರಿಯ ಹೆಸರು ಏನು?", "ನಂಜಪ್ಪ"),
    ("kn", "ಎಷ್ಟು ಗ್ರಾಮಗಳಲ್ಲಿ ರಾಗಿ ಇಳುವರಿ ಹೆಚ್ಚಿದೆ?", "ಹನ್ನೆರಡು ಗ್ರಾಮ"),
    ("en", "Who announced the closure of the ferry?", "Tovi Larsholt, the harbour manager."),
    ("en", "How many weeks will the ferry stop?", "Three weeks."),
    ("en", "Did the harbour manager announce the closure on Thursday?", "Yes, Tovi Larsholt did."),
]


@pytest.mark.parametrize(("lang", "question", "answer"), GOOD)
def test_a_good_pair_passes_every_check(lang: Lang, question: str, answer: str) -> None:
    checks, reasons = judge(Candidate(lang, TEXTS[lang], question, answer))
    assert reasons == []
    assert checks == dict.fromkeys(CHECKS, True)


TRAPS: list[tuple[str, Lang, str, str]] = [
    ("script", "hi", "Who is the council president?", "विमला सरोही"),
    ("script", "hi", "परिषद की अध्यक्ष कौन हैं?", "Vimla Sarohi"),
    ("script", "kn", "ಕೃಷಿ ಅಧಿಕಾರಿ ಯಾರು?", "नंजप्पा"),
    ("script", "kn", "ರಾಗಿ ಇಳುವರಿironಯ ಪ್ರಮಾಣ ಏನು?", "ಶೇ 18"),
    ("script", "en", "फ़ेरी कब रुकेगी?", "three weeks"),
    ("length", "hi", "कौन?", "विमला सरोही"),
    ("length", "en", "Who announced the closure?", "Tovi Larsholt " * 20),
    ("length", "kn", "ಕೃಷಿ ಅಧಿಕಾರಿ ಯಾರು?", "।।"),
    ("loop_free", "kn", "ಕೃಷಿ ಅಧಿಕಾರಿ ಯಾರು?", "ಈ ಬಾರಿ ರಾಗಿ ಈ ಬಾರಿ ರಾಗಿ ಈ ಬಾರಿ ರಾಗಿ"),
    ("loop_free", "hi", "छत का क्या होगा?", "काम छत काम छत काम छत काम छत का"),
    ("asks", "hi", "परिषद ने मरम्मत के लिए रुपये मंज़ूर किए।", "2,40,000 रुपये"),
    ("asks", "hi", "परिषद ने रुपये मंज़ूर किए, क्योंकि छत का काम होगा?", "2,40,000 रुपये"),
    ("asks", "kn", "ಯಾವುದೇ ಗ್ರಾಮದಲ್ಲಿ ರಾಗಿ ಇಳುವರಿ ಹೆಚ್ಚಿದೆ.", "ಶೇ 18"),
    ("asks", "kn", "ಎಲ್ಲ ಗ್ರಾಮಗಳಲ್ಲಿ ಏಕೆಂದರೆ ಇಳುವರಿ ಹೆಚ್ಚಿದೆ", "ಶೇ 18"),
    ("asks", "en", "The manager who announced the closure", "Tovi Larsholt"),
    ("asks", "en", "Harbour manager announced it?", "Tovi Larsholt"),
    ("not_example", "hi", "किसने सूरजपुरा का नया पुस्तकालय बनवाया?", "विमला सरोही ने"),
    ("not_example", "kn", "ಮಳೆ ಯಾವಾಗ ಬಿತ್ತು?", "ಬುಧವಾರ ರಾತ್ರಿ."),
    ("not_example", "en", "What does the camel's hump store?", "the engine"),
    (
        "not_copied",
        "hi",
        "क्या परिषद अध्यक्ष विमला सरोही ने बताया कि छत का काम पहले होगा?",
        "सोमवार को",
    ),
    (
        "not_copied",
        "kn",
        "ಏನು ಹಸಿರುಕೊಪ್ಪದ ಹನ್ನೆರಡು ಗ್ರಾಮಗಳಲ್ಲಿ ಈ ಬಾರಿ ರಾಗಿ ಇಳುವರಿ ಶೇ 18ರಷ್ಟು ಹೆಚ್ಚಿದೆ?",
        "ಮಳೆ",
    ),
    (
        "not_copied",
        "en",
        "What harbour manager Tovi Larsholt announced the closure on Thursday?",
        "x",
    ),
    ("about", "hi", "भारत का राष्ट्रीय पक्षी कौन सा है?", "विमला सरोही"),
    ("about", "kn", "ಭಾರತದ ರಾಷ್ಟ್ರೀಯ ಪ್ರಾಣಿ ಯಾವುದು?", "ರಾಗಿ"),
    ("about", "en", "Who won the football cup of 1998?", "Tovi Larsholt"),
    ("about", "en", "What is it?", "the ferry"),
    ("supported", "hi", "परिषद की अध्यक्ष कौन हैं?", "सुनीता देशमुख"),
    ("supported", "hi", "कितने रुपये मंज़ूर किए गए?", "3,00,000 रुपये"),
    ("supported", "hi", "क्या बस अड्डे की मरम्मत होगी?", "हाँ"),
    ("supported", "kn", "ರಾಗಿ ಇಳುವರಿ ಎಷ್ಟು ಹೆಚ್ಚಿದೆ?", "ಶೇ 81"),
    ("supported", "kn", "ಕೃಷಿ ಅಧಿಕಾರಿ ಯಾರು?", "ಬಸವರಾಜ ಪಾಟೀಲ"),
    ("supported", "en", "Who announced the closure?", "Ingrid Solheim"),
    ("supported", "en", "When was the closure announced?", "On Thursday, 27 May"),
    ("not_echo", "hi", "परिषद की अध्यक्ष विमला सरोही कौन हैं?", "विमला सरोही"),
    ("not_echo", "kn", "ಎಷ್ಟು ರಾಗಿ ಇಳುವರಿ ಶೇ 18ರಷ್ಟು ಹೆಚ್ಚಿದೆ?", "18ರಷ್ಟು"),
    ("not_echo", "en", "What is the ferry to Gull Island?", "The ferry."),
    ("fits", "hi", "कितने रुपये मंज़ूर किए गए?", "नगर परिषद"),
    ("fits", "hi", "मरम्मत कहाँ होगी?", "विमला सरोही ने"),
    ("fits", "kn", "ಎಷ್ಟು ಇಳುವರಿ ಹೆಚ್ಚಿದೆ?", "ನಂಜಪ್ಪ"),
    ("fits", "kn", "ಇಳುವರಿ ಏಕೆ ಹೆಚ್ಚಿದೆ?", "ರಾಗಿ"),
    ("fits", "en", "When was the closure announced?", "the harbour manager"),
]


@pytest.mark.parametrize(("check", "lang", "question", "answer"), TRAPS)
def test_a_trap_fails_its_check(check: str, lang: Lang, question: str, answer: str) -> None:
    checks, reasons = judge(Candidate(lang, TEXTS[lang], question, answer))
    assert not checks[check], reasons
    assert any(reason.startswith(f"{check}: ") for reason in reasons)


def test_an_answer_cut_at_the_token_limit_is_not_complete() -> None:
    checks, reasons = judge(
        Candidate("en", TEXTS["en"], "Who announced the closure?", "Tovi Lars", whole=False)
    )
    assert not checks["complete"]
    assert reasons[0] == "complete: cut at the token limit"


def test_an_answer_no_likelier_for_its_question_does_not_answer_it() -> None:
    def judged(margin: float | None) -> list[str]:
        question, answer = "Who announced the closure?", "Tovi Larsholt"
        return judge(Candidate("en", TEXTS["en"], question, answer, margin=margin))[1]

    assert judged(None) == judged(1.5) == []  # a server gives no likelihoods
    assert judged(-0.1) == ["answers_it: likelier by -0.1 nats only"]


def test_a_name_that_only_the_examples_know_gives_a_copy_away() -> None:
    question = "Why was the bridge at Barsolla closed while engineers replace the engine?"
    checks, _ = judge(Candidate("en", TEXTS["en"], question, "engineers replace its engine"))
    assert not checks["not_example"]


def test_latin_terms_that_the_paragraph_uses_are_welcome_in_an_indic_pair() -> None:
    text = "कंप्यूटर की RAM में वे आँकड़े रहते हैं जिन पर अभी काम हो रहा है।"
    assert judge(Candidate("hi", text, "RAM में क्या रहता है?", "आँकड़े"))[1] == []


def test_two_spellings_of_one_word_are_one_word() -> None:
    assert normalised("हिन्दी कहाँ बोली जाती है?") == normalised("हिंदी कहां  बोली जाती है")
    assert tokens("मंज़ूर") == tokens("मंजूर")


@pytest.mark.parametrize(
    ("text", "found"),
    [("२,४०,००० रुपये", {"240000"}), ("ಶೇ ೧೮ ರಿಂದ 93ಕ್ಕೆ", {"18", "93"}), ("007 men", {"7"})],
)
def test_numerals_of_all_scripts_are_one(text: str, found: set[str]) -> None:
    assert numerals(text) == found


@pytest.mark.parametrize(
    ("lang", "word", "other", "same"),
    [
        ("hi", "नदी", "नदियों", True),
        ("hi", "पुस्तक", "पुस्तकालय", True),  # a price of stems, stated in the docs
        ("hi", "राम", "रात", False),
        ("kn", "ಬೆಂಗಳೂರು", "ಬೆಂಗಳೂರಿನಲ್ಲಿ", True),
        ("kn", "ಗ್ರಾಮ", "ಗ್ರಾಮಗಳಲ್ಲಿ", True),
        ("kn", "ಮಾರ್ಚ್", "ಮಾರ್ಗ", False),
        ("en", "tomato", "tomatoes", True),
        ("en", "engine", "engineer's", True),
        ("en", "barley", "barrel", False),
    ],
)
def test_a_word_is_found_in_its_other_forms(lang: Lang, word: str, other: str, same: bool) -> None:
    assert (share_found([word], other, lang) == 1.0) is same


def test_question_words_are_told_from_their_indefinite_kin() -> None:
    asking = ["ಏನು", "ಯಾರಿಗೆ", "ಯಾವಾಗ", "ಎಲ್ಲಿಂದ", "ಎಷ್ಟನೇ", "ಏಕೆ"]
    others = ["ಯಾವುದೇ", "ಯಾವಾಗಲೂ", "ಯಾರೂ", "ಏಕೆಂದರೆ", "ಎಲ್ಲ", "ಹೇಗೋ"]
    assert all(is_interrogative(word, "kn") for word in asking)
    assert not any(is_interrogative(word, "kn") for word in others)


def test_number_words_count_as_quantities() -> None:
    assert has_number("नौ रेलगाड़ियाँ", "hi") and has_number("ಮೂರು ಕಾಗೆಗಳಿಗೆ", "kn")
    assert not has_number("ಆರಂಭ", "kn") and not has_number("someone", "en")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_examples_pass_the_checks_that_pairs_must_pass(lang: Lang) -> None:
    for each in examples(lang):
        checks, reasons = judge(Candidate(lang, each.passage, each.question, each.answer))
        own = [reason for reason in reasons if not reason.startswith(("not_example", "not_copied"))]
        assert own == [], each
        assert not checks["not_example"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_cue_is_a_question_word_of_its_language(lang: Lang) -> None:
    for cue in cues(lang):
        assert any(is_interrogative(word, lang) for word in tokens(cue.word)), cue


WORDS = st.text(alphabet="कखगािी्ಕಖಗಾಿ್abc0१೨ ?।.,'’\n\"", max_size=60)


@given(st.sampled_from(LANGUAGES), WORDS, WORDS, WORDS, st.booleans())
def test_judging_never_raises_and_reasons_match_the_checks(
    lang: Lang, text: str, question: str, answer: str, whole: bool
) -> None:
    checks, reasons = judge(Candidate(lang, text, question, answer, whole))
    failed = [name for name, ok in checks.items() if not ok]
    assert [reason.partition(":")[0] for reason in reasons] == failed


@given(st.sampled_from(LANGUAGES), WORDS)
def test_a_stem_is_a_beginning_of_its_word(lang: Lang, text: str) -> None:
    for word in tokens(text):
        assert word.startswith(stem(word, lang)) and stem(word, lang)
