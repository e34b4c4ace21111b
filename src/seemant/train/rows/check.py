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
from seemant.train.rows.faults import control_ids, faults
from seemant.train.rows.render import Form, Row, end_of_turn_id

Reason = Literal["language", "control_token", "too_long", "not_reversible", "failed_check", "news"]
_FIXES = {
    "language": "train a model that carries the language, or name it with --languages",
    "control_token": "remove the model's control tokens (BOS and turn markers too) from the pairs",
    "too_long": "raise --max-length, or add --on-long cut-input",
    "not_reversible": "look at the texts: the model's tokenizer cannot spell them",
    "failed_check": "leave --checked-only away, or make better pairs",
    "news": "raise --max-news",
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
    pairs: Sequence[Pair], form: Form, *, languages: Sequence[Lang], where: str = "the pairs"
) -> Checked:
    """Return the rows to train on; `where` names the file in errors.

    Raises:
        BadRecord: no pair is left; the message counts the reasons.
        InputError: a row's labels are wrong: template and tokenizer do not fit each other.
    """
    end = end_of_turn_id(form.template, form.tokenizer)
    bos = form.tokenizer.bos_id if form.tokenizer.add_bos else None
    control = control_ids(form)
    rows: list[Row] = []
    aside: list[SetAside] = []
    n_cut = 0
    for pair in pairs:
        found = _row(pair, form, languages, control)
        if isinstance(found, SetAside):
            aside.append(found)
            continue
        row, cut = found
        wrong = faults(row, end=end, bos=bos, n_vocab=form.n_vocab)
        if wrong:
            raise InputError(
                f"wrong labels: {'; '.join(wrong)}",
                where=f"{where}: pair {pair.key}",
                fix="the model's tokenizer and template do not fit each other; try another model",
            )
        rows.append(row)
        n_cut += cut
    if not rows:
        raise none_left(aside, where)
    return Checked(rows, aside, n_cut, sum(row.retokenised for row in rows))


def none_left(aside: Sequence[SetAside], where: str) -> BadRecord:
    """Return the error for pairs of which none is left: reasons, counts, what to do."""
    reasons = Counter(each.reason for each in aside)
    told = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    return BadRecord(
        f"no pair is left to train on ({told or 'the file is empty'})",
        where=where,
        fix=_FIXES[max(reasons, key=lambda reason: reasons[reason], default="language")],
    )


def _row(
    pair: Pair, form: Form, languages: Sequence[Lang], control: frozenset[int]
) -> tuple[Row, bool] | SetAside:
    def aside(reason: Reason, detail: str) -> SetAside:
        return SetAside(key=pair.key, lang=pair.lang, reason=reason, detail=detail)

    if pair.lang not in languages:
        return aside("language", f"the model carries {', '.join(languages)}")
    text = f"{pair.instruction}\n{pair.input}\n{pair.output}"
    for token in form.tokenizer.encode(text, add_bos=False):
        if token in control:
            piece = form.tokenizer.inner.id_to_token(token)
            return aside("control_token", f"{piece} stands in the text")
    row = form.row(pair)
    answer = list(row.ids[row.n_prompt : -1])
    if not answer or form.tokenizer.decode(answer).strip() != pair.output.strip():
        return aside("not_reversible", "the answer's tokens do not spell the answer")
    if len(row.ids) <= form.max_length:
        return row, False
    if form.on_long == "cut-input":
        shorter = _cut_input(pair, form)
        if shorter is not None:
            return shorter, True
    return aside("too_long", f"{len(row.ids)} tokens, {row.n_answer} of them the answer")


def _cut_input(pair: Pair, form: Form) -> Row | None:
    """Return the row with the longest beginning of `input`, in whole words, that fits."""
    words = pair.input.split(" ")
    best = None
    low, high = 1, len(words) - 1  # an input cut to nothing asks another question
    while low <= high:
        keep = (low + high) // 2
        row = form.row(pair.model_copy(update={"input": " ".join(words[:keep])}))
        if len(row.ids) <= form.max_length:
            best, low = row, keep + 1
        else:
            high = keep - 1
    return best
