"""Whether the text and the questions of a study hold every language that its nodes ask of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seemant.core.errors import BadRecord, SeemantError
from seemant.core.records import Lang
from seemant.corpus.gather import Gathered, from_files, shares
from seemant.corpus.scripts import LANGUAGE_NAMES
from seemant.corpus.splits import split_of
from seemant.probe.suites import load_suite
from seemant.study.calibration_text import calibration_lacks, own_calibration_lacks
from seemant.study.command import as_command
from seemant.study.languages import in_words
from seemant.study.spec import Node, Study

_PART = {"distill": "distil", "divergence": "heldout", "attribution": "heldout"}
_PART_WORDS = {"distil": "distillation (six in ten)", "heldout": "comparing (two in ten)"}


def text_lacks(study: Study) -> Iterator[SeemantError]:
    """Yield what is missing in the user's own text and questions; what ships is never read."""
    for name, node in study.nodes.items():
        if node.stage == "corpus":
            files = [Path(t) for role, t in node.inputs.items() if role.startswith("files/")]
            if files:
                yield from _of_corpus(study, name, node, files)
    yield from own_calibration_lacks(study)
    yield from _of_suites(study)


def _of_corpus(study: Study, name: str, node: Node, files: list[Path]) -> Iterator[SeemantError]:
    config: Any = node.config
    where = ", ".join(str(path) for path in files)
    try:
        gathered = from_files(config, [(path, str(path)) for path in files])
    except SeemantError as error:
        fix = (error.fix or "").replace("--keep-others", f"--set {name}.keep_others=true")
        yield type(error)(error.what, where=error.where, fix=fix)
        return
    there = {(split_of(each.id), each.lang) for each in gathered.paragraphs}
    missing = {
        lang: (part, other.name)
        for other in study.nodes.values()
        if (part := _PART.get(other.stage)) and other.inputs.get("paragraphs") == name
        for lang in getattr(other.config, "languages", ())
        if (part, lang) not in there
    }
    if missing:
        yield _without(study, gathered, missing, where)
    else:
        yield from calibration_lacks(study, name, gathered, where)


def _without(
    study: Study, gathered: Gathered, missing: Mapping[Lang, tuple[str, str]], where: str
) -> BadRecord:
    """Return what the text lacks; `missing`: language -> the part and a node that reads it."""
    counts = Counter(each.lang for each in gathered.paragraphs)
    held = ", ".join(f"{LANGUAGE_NAMES[lang]} {n}" for lang, n in counts.items())
    none = [lang for lang in missing if not counts[lang]]
    whats = [f"the text has no {in_words(none)}, which this study asks for"] if none else []
    for lang, (part, asking) in missing.items():
        if n := counts[lang]:
            whats.append(
                f"{n} paragraphs of {LANGUAGE_NAMES[lang]} are too few: none falls to the part for "
                f"{_PART_WORDS[part]}, which node {asking!r} reads"
            )
    more = f"give about 20 paragraphs or more of {in_words(list(missing))}"
    left = ",".join(lang for lang in counts if lang not in missing)
    command = f"{as_command(study, f'languages={left}')}   (or {more})" if left else more
    return BadRecord(
        " ".join(["; ".join([*whats, f"it has: {held}"]) + ".", *shares(gathered)]),
        where=where,
        fix=command,
    )


def _of_suites(study: Study) -> Iterator[SeemantError]:
    """Yield an own suite's faults, and languages that are to be probed without a question in it."""
    for text in dict.fromkeys(
        n.inputs["suite"] for n in study.nodes.values() if "suite" in n.inputs
    ):
        try:
            probes = load_suite(Path(text))
        except SeemantError as error:
            yield error
            continue
        there: Sequence[Lang] = list(dict.fromkeys(probe.lang for probe in probes))
        for node in study.nodes.values():
            asked = getattr(node.config, "languages", ())
            missing = [lang for lang in asked if lang not in there]
            if node.inputs.get("suite") == text and missing:
                names = " and ".join(LANGUAGE_NAMES[lang] for lang in missing)
                kept = ",".join(lang for lang in asked if lang in there) or there[0]
                yield BadRecord(
                    f"no question in {names}, in which node {node.name!r} asks",
                    where=text,
                    fix=as_command(study, f"languages={kept}"),
                )
                break
