"""What is learned can be seen, and is the answer and the end of turn byte for byte."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from seemant.train.rows.render import IGNORED, Form, render
from seemant.train.rows.show import labelled_text, show_rows, wanted_text
from tests.train.templates import FAMILIES, form_of_family
from tests.train.tiny import pair

PAIRS = [
    pair("Who?", "Me"),
    pair("कौन?", "मैं एक मॉडल हूँ।", lang="hi"),
    pair("ಯಾರು?", "ನಾನು", lang="kn", given="ಪಠ್ಯ"),
    pair("Lines?", "one\ntwo  three"),
]


def form_of(written: Any) -> Form:
    return Form(template=written[0], tokenizer=written[1], n_vocab=999, max_length=999)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_labels_alone_spell_the_answer_and_the_end_of_turn(family: str) -> None:
    form = form_of(form_of_family(family))
    for each in PAIRS:
        got = labelled_text(form.row(each), form.tokenizer)
        assert got.encode() == wanted_text(each, form.template).encode()
        assert got == each.output + form.template.end_of_turn


def printed(form: Form, rows: Any, pairs: Any) -> tuple[bool, str]:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    return show_rows(rows, pairs, form, console), out.getvalue()


def test_every_token_is_printed_and_the_learned_ones_stand_out(form: Any) -> None:
    written = form_of(form)
    row = render(PAIRS[0], *form)
    sound, text = printed(written, [row], PAIRS[:1])
    assert sound and "learned:" in text
    green = "\x1b[1;32m"
    learned = [line for line in text.splitlines() if green in line]
    assert len(learned) == row.n_answer
    assert all(str(row.ids[row.n_prompt + i]) in line for i, line in enumerate(learned))
    assert sum("│" in line for line in text.splitlines()) == len(row.ids)


def test_labels_that_spell_something_else_are_said(form: Any) -> None:
    row = render(PAIRS[0], *form)
    masked = replace(row, targets=[*row.targets[:-2], IGNORED, IGNORED])
    sound, text = printed(form_of(form), [masked], PAIRS[:1])
    assert not sound and "the labels spell" in text
