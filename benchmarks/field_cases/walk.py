"""Own text, own languages, own questions and the tour's artefacts, as a newcomer brings them."""

import json
from collections.abc import Callable

from field_cases.place import Case, Place, refused, went_well

SHORT = "यह पंक्ति क्रमांक {} है।"
HINDI = (
    "यह पंक्ति क्रमांक {} है और इसमें गाँव के कुएँ की बात लिखी है। कुआँ बरगद के पेड़ के पास है, "
    "उसका पानी मीठा है, और सुबह सब लोग वहीं से पानी भरकर ले जाते हैं।"
)
KANNADA = (
    "ಇದು {}ನೇ ಸಾಲು, ಇದರಲ್ಲಿ ಊರಿನ ಬಾವಿಯ ವಿಷಯ ಬರೆದಿದೆ. ಬಾವಿ ಆಲದ ಮರದ ಹತ್ತಿರ ಇದೆ, ಅದರ ನೀರು ಸಿಹಿ, "
    "ಬೆಳಿಗ್ಗೆ ಎಲ್ಲರೂ ಅಲ್ಲಿಂದಲೇ ನೀರು ತುಂಬಿಕೊಂಡು ಹೋಗುತ್ತಾರೆ."
)
ENGLISH = (
    "This is line {} and it tells of the well of the village. The well stands by the banyan tree, "
    "its water is sweet, and in the morning everybody comes to carry some of it home."
)
OTHERS = {
    "Marathi": "हे {} क्रमांकाचे वाक्य आहे आणि ते मराठी मध्ये आहे",
    "Nepali": "यो {} औं वाक्य हो र यो नेपाली भाषामा लेखिएको छ",
    "Tamil": "இது {} ஆவது வரி, இது தமிழில் உள்ளது",
    "Telugu": "ఇది {} వ వాక్యం, ఇది తెలుగులో ఉంది",
    "Urdu": "یہ {} واں جملہ ہے اور یہ اردو میں لکھا ہے",
    "Hindi in Latin letters": "yeh {} number ki line hai aur isme gaon ki baat hai",
}
SMOLLM = "embedded:smollm2-135m-instruct"


def text(place: Place, *forms: str, n: int = 100, name: str = "my.txt") -> str:
    """Write a file of n lines a form; returns its name."""
    lines = [form.format(number) for form in forms for number in range(1, n + 1)]
    (place.inputs / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def planned(languages: str, *forms: str, study: str = "quick") -> Callable[[Place], str | None]:
    """Plan a study on text in these forms."""

    def check(place: Place) -> str | None:
        own = ["--set", f"corpus={text(place, *forms)}", "--set", f"languages={languages}"]
        return went_well(place.seemant("study", "plan", study, *own))

    return check


def lacking(*words: str, sets: tuple[str, ...], form: str = HINDI) -> Callable[[Place], str | None]:
    """Plan and run a study that lacks something: both refuse, and nothing is begun."""

    def check(place: Place) -> str | None:
        text(place, form)
        flags = [word for each in sets for word in ("--set", each)]
        for command in ("plan", "run"):
            done = place.seemant("study", command, "quick", *flags, "--store", place.w / "runs")
            if (seen := refused(done, "fix:", *words)) is not None:
                return f"{command}: {seen}"
        return "work was begun" if (place.w / "runs").exists() else None

    return check


def named(name: str) -> Callable[[Place], str | None]:
    """Sample text in a language that is not carried."""

    def check(place: Place) -> str | None:
        file = text(place, OTHERS[name])
        done = place.seemant("corpus", "sample", file, "--n", "50", "--out", place.w / "c")
        return refused(done, name, "Hindi, Kannada, English")

    return check


def shares(place: Place) -> str | None:
    """Sample a file of two languages."""
    file = text(place, HINDI, OTHERS["Marathi"])
    done = place.seemant("corpus", "sample", file, "--out", place.w / "c")
    return went_well(done) or (None if "Marathi 100" in done.said else done.said[-300:])


def kept(place: Place) -> str | None:
    """Take Marathi as Hindi because it was asked for."""
    file = text(place, OTHERS["Marathi"])
    return went_well(
        place.seemant("corpus", "sample", file, "--keep-others", "--out", place.w / "c")
    )


def hindi_questions(place: Place) -> str | None:
    """Plan a study in two languages with questions in one."""
    (place.inputs / "q.csv").write_text("question,answer\nभारत की राजधानी?,दिल्ली\n")
    return lacking("no question in Kannada", "languages=hi", sets=("suite=q.csv",))(place)


CSV = "question,answer\nभारत की राजधानी क्या है?,नई दिल्ली\nWhat is the capital of France?,Paris\n"
SEMICOLONS = "\ufeffFrage;answer;question\r\nx;नई दिल्ली|दिल्ली;भारत की राजधानी क्या है?\r\n"
LINES = '{"question": "भारत की राजधानी क्या है?", "answer": "नई दिल्ली"}\n'


def asked(content: str, name: str) -> Callable[[Place], str | None]:
    """Ask a small model one's own questions; each stands in the output with its answer."""

    def check(place: Place) -> str | None:
        (place.inputs / name).write_text(content, encoding="utf-8", newline="")
        done = place.seemant(
            *("probe", SMOLLM, "--suite", name, "--max-new-tokens", "4", "--out", place.w / "p")
        )
        shown = "भारत की राजधानी क्या है?  ->" in done.out and "answers right" in done.out
        return went_well(done) or (None if shown else f"no answers in {done.out[-300:]!r}")

    return check


def bad_questions(content: bytes, *words: str) -> Callable[[Place], str | None]:
    """Refuse a file of questions, at its line, before a model is opened."""

    def check(place: Place) -> str | None:
        (place.inputs / "q.csv").write_bytes(content)
        return refused(place.seemant("probe", SMOLLM, "--suite", "q.csv"), "q.csv", *words)

    return check


def frontier_of(form: str) -> Callable[[Place], str | None]:
    """Ask for the frontier and a recommendation of artefacts without a study."""

    def check(place: Place) -> str | None:
        (place.inputs / "q.csv").write_text(QUESTIONS, encoding="utf-8")
        out = place.w / "tour" / "one"
        probed = place.seemant(
            *("probe", SMOLLM, "--suite", "q.csv", "--max-new-tokens", "2", "--out", out)
        )
        if (seen := went_well(probed)) is not None:
            return seen
        folder = out if form == "artefact" else place.w if form == "store" else place.w / "tour"
        done = place.seemant("frontier", folder, "--store", place.w.parent / "runs")
        if went_well(done) or "smollm2-135m-instruct (" not in done.out:
            return done.said[-300:]
        return went_well(
            place.seemant("recommend", folder, "--lang", "hi", "--store", place.w.parent / "runs")
        )

    return check


QUESTIONS = "question,answer\nएक और एक?,दो\nदो और दो?,चार\nतीन और तीन?,छह\nपाँच और पाँच?,दस\n"


def absent(*words: str) -> Callable[[Place], str | None]:
    """Train a model that is not there."""

    def check(place: Place) -> str | None:
        pair = {"instruction": "?", "output": "!", "lang": "hi"}
        (place.inputs / "p.jsonl").write_text(json.dumps(pair) + "\n")
        done = place.seemant("train", *words)
        if done.code == 0 or "Traceback" in done.said or "error:" not in done.err:
            return f"exit {done.code}: {done.said[-300:]!r}"
        return None

    return check


_NO = ("no Kannada",)
CASES = [
    Case("text", "100 lines of Hindi alone", planned("[hi]", HINDI)),
    Case("text", "100 lines of Kannada alone", planned("kn", KANNADA)),
    Case("text", "English alone", planned("English", ENGLISH)),
    Case("text", "Hindi and Kannada", planned("hi,kn", HINDI, KANNADA)),
    Case("text", "another preset", planned("hi", HINDI, study="compression-smoke")),
    Case("lack", "no languages said", lacking(*_NO, "languages=hi", sets=("corpus=my.txt",))),
    Case("lack", "a language too many", lacking(*_NO, sets=("corpus=my.txt", "languages=hi,kn"))),
    Case(
        "lack",
        "Kannada where it is Hindi",
        lacking("Hindi", sets=("corpus=my.txt", "languages=kn")),
    ),
    Case(
        "lack",
        "lines too short to calibrate on",
        lacking("calibrat", sets=("corpus=my.txt", "languages=hi"), form=SHORT),
    ),
    Case("lack", "a missing file", lacking("nope.txt", sets=("corpus=nope.txt",))),
    Case("lack", "an unknown model", lacking("gemma-3-27", sets=("model=embedded:gemma-3-27",))),
    Case("lack", "a missing model file", lacking("nope.gguf", sets=("model=path:nope.gguf",))),
    Case("lack", "no teacher", lacking("teacher", sets=("teacher=null",))),
    Case("lack", "a role without an input", lacking("small", sets=("small=null",))),
    Case("lack", "a language not carried", lacking("mr", sets=("languages=mr",))),
    Case("lack", "no file of questions", lacking("nope.csv", sets=("suite=nope.csv",))),
    Case("lack", "no question in Kannada", hindi_questions),
    *(Case("language", name, named(name)) for name in OTHERS),
    Case("language", "shares of a mixed file", shares),
    Case("language", "Marathi taken as Hindi", kept),
    Case("questions", "a CSV", asked(CSV, "q.csv")),
    Case("questions", "semicolons, a BOM, CRLF", asked(SEMICOLONS, "q.csv")),
    Case("questions", "JSON Lines", asked(LINES, "q.jsonl")),
    Case("questions", "no such column", bad_questions(b"a,b\n1,2\n", "question")),
    Case("questions", "UTF-16", bad_questions(CSV.encode("utf-16"), "UTF-8")),
    Case("questions", "no answer", bad_questions(b"question,answer\nWho?,\n", "q.csv:2")),
    Case("tour", "frontier of a folder", frontier_of("folder")),
    Case("tour", "frontier of an artefact", frontier_of("artefact")),
    Case("tour", "frontier of a folder of folders", frontier_of("store")),
    Case("absent", "a Hub model", absent("hf:nobody/nothing", "p.jsonl")),
    Case("absent", "an embedded one", absent("embedded:gemma-3-27", "p.jsonl")),
    Case("absent", "a path", absent("path:nope", "p.jsonl")),
]
