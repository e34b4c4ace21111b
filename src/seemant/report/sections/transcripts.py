"""What the models said, before and after, side by side: a selection, and everything."""

from collections.abc import Iterable, Sequence

from seemant.probe.suites import STUDY_FAMILIES
from seemant.report.exchanges import STUDY, Answer, Exchange, Talk, talks
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node
from seemant.report.tables import details
from seemant.report.words import chip, languages_in

_A_LANGUAGE = 4  # exchanges shown a language and student; all others stand in the fold
_NAMES = {
    "pass": "pass",
    "news_addon": "news add-on",
    "mimicry": "mimicry of news",
    "associative": "associative",
    "empty": "empty",
    "identity_loss": "identity loss",
    "collapse": "collapse",
    "wrong_language": "wrong language",
    "uncertain": "uncertain",
}


def transcripts(nodes: Sequence[Node]) -> Html | None:
    """Return selected exchanges of every student, then all of them in a filterable fold."""
    given = talks(nodes)
    if not given:
        return None
    paired = [talk for talk in given if talk.before_subject] or given
    chosen = [part for talk in paired if (part := _selection(talk)) is not None]
    everything = [e for talk in given for e in talk.exchanges]
    return join(
        [
            el(
                "p",
                "Each question is asked before and after; the two answers get their diagnoses "
                "together, as a fault that was there before is not tuning's. The diagnosis is a "
                "first reading by rules, not a judge. The words are the model's own, uncorrected.",
                class_="note",
            ),
            *chosen,
            details(
                f"All {len(everything):,} answers",
                _filters(everything),
                el("div", *(exchange(e) for e in everything), class_="exchanges", id="all-answers"),
            ),
        ]
    )


def study_queries(nodes: Sequence[Node]) -> Html | None:
    """Return the study's own dozen queries with its sampling; None where they were not asked."""
    given = [talk for talk in talks(nodes, STUDY) if talk.exchanges]
    if not given:
        return None
    parts = []
    for index, talk in enumerate(given):
        about = el("p", f"{_title(talk)} — {talk.sampling}", _hashes(talk), class_="note")
        shown = el(
            "div", *(exchange(e, whose=False) for e in _by_language(talk)), class_="exchanges"
        )
        parts.append(
            details(f"{talk.subject}: {len(talk.exchanges)} queries", about, shown, open_=not index)
        )
    intro = (
        "The original study's queries with its own sampling and its system prompt. One draw each, "
        "from a fixed seed: a look, not a measurement."
    )
    return join([el("p", intro, class_="note"), *parts])


def selected(exchanges: Iterable[Exchange], n: int) -> list[Exchange]:
    """Return n exchanges: the study's questions first, then one of each diagnosis not seen yet.

    The choice is by rule, never by how good an answer looks; ties keep the suite's order.
    """
    waiting = list(exchanges)
    chosen = [e for family in STUDY_FAMILIES for e in waiting if e.family == family][: n // 2]
    while len(chosen) < min(n, len(waiting)):
        seen = {e.after.diagnosis for e in chosen}
        rest = [e for e in waiting if e not in chosen]
        chosen.append(next((e for e in rest if e.after.diagnosis not in seen), rest[0]))
    return chosen


def exchange(e: Exchange, *, whose: bool = True) -> Html:
    """Return one question with its answers; `whose`: say whose they are."""
    before = _answer("before", e.before, e.lang) if e.before else None
    return el(
        "article",
        el(
            "header",
            chip(e.lang),
            el("span", e.question, lang=e.lang, class_="question", dir="auto"),
            el("span", f"{e.subject} · {e.probe_id}" if whose else e.probe_id, class_="meta"),
        ),
        el("div", before, _answer("after" if before else "", e.after, e.lang), class_="sides"),
        class_="exchange",
        data_lang=e.lang,
        data_subject=e.subject,
        data_diagnosis=e.after.diagnosis or "none",
    )


def diagnosis_name(label: str) -> str:
    """Return a diagnosis in words."""
    return _NAMES.get(label, label.replace("_", " "))


def _answer(when: str, answer: Answer, lang: str) -> Html:
    text = answer.text or "(nothing)"
    return el(
        "div",
        el(
            "p",
            when or None,
            el("span", diagnosis_name(answer.diagnosis), class_="dx", data_dx=answer.diagnosis)
            if answer.diagnosis
            else None,
            el("span", "cut at the limit", class_="cut") if answer.cut else None,
            class_="when",
        ),
        el(
            "blockquote",
            text,
            lang=lang,
            dir="auto",
            class_=None if answer.text else "nothing",
        ),
        class_="side",
    )


def _selection(talk: Talk) -> Html | None:
    chosen = [
        e
        for lang in languages_in({e.lang for e in talk.exchanges})
        for e in selected((e for e in talk.exchanges if e.lang == lang), _A_LANGUAGE)
    ]
    if talk.before_subject is None or talk.is_variant:  # variants stand in the fold only
        return None
    return join(
        [
            el("h3", _title(talk)),
            el("p", talk.sampling, _hashes(talk), class_="note"),
            el("div", *(exchange(e, whose=False) for e in chosen), class_="exchanges"),
        ]
    )


def _title(talk: Talk) -> str:
    return f"{talk.before_subject} → {talk.subject}" if talk.before_subject else talk.subject


def _hashes(talk: Talk) -> Html:
    system = talk.system_prompt_hash or "none"
    return el("span", f" · template {talk.template_hash} · system prompt {system}", class_="hash")


def _by_language(talk: Talk) -> list[Exchange]:
    order = languages_in({e.lang for e in talk.exchanges})
    return sorted(talk.exchanges, key=lambda e: order.index(e.lang))


def _filters(exchanges: Sequence[Exchange]) -> Html:
    languages = languages_in({e.lang for e in exchanges})
    subjects = list(dict.fromkeys(e.subject for e in exchanges))
    labels = sorted({e.after.diagnosis or "none" for e in exchanges})
    return el(
        "div",
        _select("lang", "language", [(code, code) for code in languages]),
        _select("subject", "model", [(s, s) for s in subjects]),
        _select("diagnosis", "diagnosis", [(d, diagnosis_name(d)) for d in labels]),
        el("input", type="search", placeholder="search the words", aria_label="search the words"),
        el("output", aria_live="polite"),
        class_="filters",
        data_target="all-answers",
    )


def _select(key: str, name: str, options: Sequence[tuple[str, str]]) -> Html:
    first = el("option", f"every {name}", value="")
    rest = [el("option", told, value=value) for value, told in options]
    return el("select", first, *rest, data_key=key, aria_label=name)
