"""The rewrite stage: a student and pairs in, the same pairs in the student's words out."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from seemant.core.journal import Journal
from seemant.core.jsonl import write_records
from seemant.core.measurement import Measurement, exact
from seemant.core.progress import progress
from seemant.core.records import Lang, Pair, Record
from seemant.core.refs import short_name
from seemant.core.stage import Inputs, Stage
from seemant.train.rewrite.config import RewriteConfig


class Kept(Record):
    """What became of one pair's answer: `wrong` says why it stayed as it was."""

    key: str
    lang: Lang
    reference: str
    written: str
    wrong: list[str]


def run(config: RewriteConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with `pairs.jsonl` (all pairs, reworded where that held) and `rewritten.jsonl`.

    Raises:
        BadRecord: no valid pair in the file.
        BadFile: the model cannot be read.
    """
    from seemant.corpus.pairs import read_pairs
    from seemant.models.backends.open import open_backend
    from seemant.models.backends.protocol import Sampling
    from seemant.models.prompts import template_of
    from seemant.models.resolve import languages_of, weights_in
    from seemant.train.rows.dataset import pairs_file

    pairs = read_pairs(pairs_file(inputs["pairs"].path), rejected=out / "rejected.jsonl")
    model = inputs["model"]
    weights = weights_in(model.path)
    template = template_of(weights)
    languages = config.languages or languages_of(model.label)
    sampling = Sampling(max_new_tokens=config.max_new_tokens)
    lines: dict[str, Kept] = {}
    with (
        Journal(out / "journal.jsonl") as journal,
        open_backend(
            weights, kind=config.backend, threads=config.threads, context=config.context
        ) as backend,
        progress("rewrite", len(pairs), "pairs") as tick,
    ):

        def write(question: str, given: str, lang: Lang) -> tuple[str, bool]:
            prompt = template.render(question, lang, input=given)
            said = backend.generate(prompt, sampling, stop=template.stops(lang))
            return said.text, said.finish_reason == "stop"

        known = [Kept.model_validate(entry) for entry in journal.entries]
        lines |= {kept.key: kept for kept in known}
        for pair in pairs:
            if pair.lang in languages and pair.key not in lines:
                lines[pair.key] = _asked(pair, write)
                journal.append(lines[pair.key].model_dump())
            tick()
    done = [lines[pair.key] for pair in pairs if pair.key in lines]
    write_records(out / "pairs.jsonl", [_with(pair, lines.get(pair.key)) for pair in pairs])
    write_records(out / "rewritten.jsonl", done)
    return _measured(config.subject or short_name(model.label), done)


def _asked(pair: Pair, write: Callable[[str, str, Lang], tuple[str, bool]]) -> Kept:
    from seemant.train.rewrite.answers import asked, failures

    text, whole = write(*asked(pair), pair.lang)
    text = text.strip()
    wrong = failures(pair, text, whole=whole)
    return Kept(key=pair.key, lang=pair.lang, reference=pair.output, written=text, wrong=wrong)


def _with(pair: Pair, kept: Kept | None) -> Pair:
    """Return the pair in the student's words, or as it was where they did not hold."""
    if kept is None or kept.wrong:
        return pair
    # The key stays: a pair without an id is known by its content, which changes here.
    return pair.model_copy(update={"output": kept.written, "id": pair.key})


def _measured(subject: str, lines: Sequence[Kept]) -> list[Measurement]:
    found = []
    for lang in sorted({line.lang for line in lines}):
        own = [line for line in lines if line.lang == lang]
        found.append(exact(subject, "answers_asked", len(own), "count", lang=lang))
        kept = sum(not line.wrong for line in own)
        found.append(exact(subject, "answers_reworded", kept, "count", lang=lang))
        reasons = Counter(line.wrong[0].partition(":")[0] for line in own if line.wrong)
        for reason, n in sorted(reasons.items()):
            found.append(exact(subject, f"answers_kept_{reason}", n, "count", lang=lang))
    return found


STAGE = Stage(
    name="rewrite",
    version=1,
    config=RewriteConfig,
    run=run,
    roles={"model": "model", "pairs": "pairs"},
)
