"""Everything that can be wrong with the data, found before step 1.

A pair that cannot be learned from is set aside and counted. A row whose labels are wrong is a
fault of the template or the tokenizer, which would spoil every row alike: it stops the run.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seemant.core.errors import BadRecord, InputError
from seemant.core.records import Lang, Pair, Record
from seemant.models.prompts import Template
from seemant.models.tokenizer import Tokenizer
from seemant.train.render import IGNORED, Row, end_of_turn_id, render

Reason = Literal["language", "control_token", "too_long", "not_reversible"]
_FIXES = {
    "language": "train a model that carries the language, or name it with --languages",
    "control_token": "remove the model's control tokens from the pairs",
    "too_long": "raise --max-length, or add --on-long cut-input",
    "not_reversible": "look at the texts: the model's tokenizer cannot spell them",
}


class SetAside(Record):
    """A pair that is not trained on, and why."""

    key: str
    lang: Lang
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that are sound, pairs that were set aside, and how many rows were mended.

    n_cut: rows whose input was shortened. n_retokenised: see `Row.retokenised`.
    """

    rows: list[Row]
    aside: list[SetAside]
    n_cut: int
    n_retokenised: int

    def reasons(self) -> dict[str, int]:
        """Return how many pairs were set aside for each reason."""
        return dict(sorted(Counter(each.reason for each in self.aside).items()))


def check(
    pairs: Sequence[Pair],
    template: Template,
    tokenizer: Tokenizer,
    *,
    n_vocab: int,
    max_length: int,
    languages: Sequence[Lang],
    on_long: Literal["reject", "cut-input"] = "reject",
    where: str = "the pairs",
) -> Checked:
    """Return the rows to train on; `where` names the file in errors.

    Raises:
        BadRecord: no pair is left; the message counts the reasons.
        InputError: a row's labels are wrong: template and tokenizer do not fit each other.
    """
    end = end_of_turn_id(template, tokenizer)
    bos = tokenizer.bos_id if tokenizer.add_bos else None
    rows: list[Row] = []
    aside: list[SetAside] = []
    n_cut = 0
    for pair in pairs:
        found = _row(pair, template, tokenizer, languages, max_length, on_long)
        if isinstance(found, SetAside):
            aside.append(found)
            continue
        row, cut = found
        wrong = faults(row, end=end, bos=bos, n_vocab=n_vocab)
        if wrong:
            raise InputError(
                f"wrong labels: {'; '.join(wrong)}",
                where=f"{where}: pair {pair.key}",
                fix="the model's tokenizer and template do not fit each other; try another model",
            )
        rows.append(row)
        n_cut += cut
    checked = Checked(rows, aside, n_cut, sum(row.retokenised for row in rows))
    if not rows:
        reasons = checked.reasons()
        told = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        most = max(reasons, key=lambda reason: reasons[reason], default="language")
        raise BadRecord(
            f"no pair is left to train on ({told or 'the file is empty'})",
            where=where,
            fix=_FIXES[most],
        )
    return checked


def faults(row: Row, *, end: int, bos: int | None, n_vocab: int) -> list[str]:
    """Return what is wrong with a row's ids and targets; an empty list means sound.

    end: id of the end-of-turn token. bos: id that the model wants first, once; None if none.
    """
    wrong = []
    labelled = [t for t, target in enumerate(row.targets) if target != IGNORED]
    first, last = row.n_prompt - 1, len(row.ids) - 2  # positions that predict the answer's ends
    if not labelled:
        wrong.append("no label at all")
    if any(t < first for t in labelled):
        wrong.append("a prompt token is labelled")
    if row.targets[first] == IGNORED:
        wrong.append("the first answer token is not labelled")
    if row.targets[last] != end:
        wrong.append("the end-of-turn token is not labelled")
    if any(row.targets[t] != row.ids[t + 1] for t in labelled if t < len(row.ids) - 1):
        wrong.append("a label is not the next token")
    if row.targets[-1] != IGNORED:
        wrong.append("the last position has a label but no next token")
    if labelled and len(labelled) != last - first + 1:
        wrong.append("a hole in the answer's labels")
    if not all(0 <= i < n_vocab for i in row.ids):
        wrong.append(f"an id is outside the vocabulary of {n_vocab}")
    if bos is not None and (row.ids[0] != bos or row.ids.count(bos) != 1):
        wrong.append(f"BOS stands {row.ids.count(bos)} times, not once at the beginning")
    return wrong


def _row(
    pair: Pair,
    template: Template,
    tokenizer: Tokenizer,
    languages: Sequence[Lang],
    max_length: int,
    on_long: str,
) -> tuple[Row, bool] | SetAside:
    def aside(reason: Reason, detail: str) -> SetAside:
        return SetAside(key=pair.key, lang=pair.lang, reason=reason, detail=detail)

    if pair.lang not in languages:
        return aside("language", f"the model carries {', '.join(languages)}")
    if template.end_of_turn in f"{pair.instruction}\n{pair.input}\n{pair.output}":
        return aside("control_token", f"{template.end_of_turn} stands in the text")
    row = render(pair, template, tokenizer)
    answer = list(row.ids[row.n_prompt : -1])
    if not answer or tokenizer.decode(answer).strip() != pair.output.strip():
        return aside("not_reversible", "the answer's tokens do not spell the answer")
    if len(row.ids) <= max_length:
        return row, False
    if on_long == "cut-input":
        shorter = _cut_input(pair, template, tokenizer, max_length)
        if shorter is not None:
            return shorter, True
    return aside("too_long", f"{len(row.ids)} tokens, {row.n_answer} of them the answer")


def _cut_input(pair: Pair, template: Template, tokenizer: Tokenizer, max_length: int) -> Row | None:
    """Return the row with the longest beginning of `input`, in whole words, that fits."""
    words = pair.input.split(" ")
    best = None
    low, high = 1, len(words) - 1  # an input cut to nothing asks another question
    while low <= high:
        keep = (low + high) // 2
        cut = pair.model_copy(update={"input": " ".join(words[:keep])})
        row = render(cut, template, tokenizer)
        if len(row.ids) <= max_length:
            best, low = row, keep + 1
        else:
            high = keep - 1
    return best
