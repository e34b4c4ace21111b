"""A rendered batch for the eye: ids, pieces, and which of them are learned, in colour.

The text of the labels alone must be the answer and the end of turn, byte for byte; where it is
not, that is said in red, because then the loss teaches something else than the answers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seemant.core.records import Pair
from seemant.models.prompts import Template
from seemant.models.tokenizer import Tokenizer
from seemant.train.rows.render import IGNORED, Form, Row

if TYPE_CHECKING:
    from rich.console import Console

_BROKEN = "\ufffd"  # what a piece that is less than a letter decodes to


def labelled_text(row: Row, tokenizer: Tokenizer) -> str:
    """Return the text of a row's labels alone, special tokens spelled out."""
    labels = [target for target in row.targets if target != IGNORED]
    text: str = tokenizer.inner.decode(labels, skip_special_tokens=False)
    return text


def wanted_text(pair: Pair, template: Template) -> str:
    """Return the text that a pair's labels must spell: the answer and the end of turn."""
    answer = template.answer_prefix + pair.output.strip()
    return answer + template.shape.gap + template.end_of_turn


def show_rows(
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    form: Form,
    console: "Console",
) -> bool:
    """Print the rows; return whether every row's labels spell its answer and the end of turn.

    pairs: the pair of each row.
    """
    from rich.table import Table
    from rich.text import Text

    sound, tokenizer = True, form.tokenizer
    for row, pair in zip(rows, pairs, strict=True):
        table = Table(title=f"{row.key}: {row.n_prompt} + {row.n_answer} tokens", show_lines=False)
        for name in ("at", "id", "piece", "label"):
            table.add_column(name, justify="right" if name in ("at", "id", "label") else "left")
        for at, token in enumerate(row.ids):
            learned = at >= 1 and row.targets[at - 1] != IGNORED
            style = "bold green" if learned else "dim"
            label = str(row.targets[at - 1]) if learned else ""
            cells = (str(at), str(token), _piece(token, tokenizer), label)
            table.add_row(*(Text(cell, style=style) for cell in cells))
        console.print(table)
        got, want = labelled_text(row, tokenizer), wanted_text(pair, form.template)
        if got == want:
            console.print(Text.assemble("learned: ", (got, "green")))
        else:
            sound = False
            console.print(Text(f"the labels spell {got!r}, the answer is {want!r}", "bold red"))
    return sound


def _piece(token: int, tokenizer: Tokenizer) -> str:
    """Return a token as text, line ends escaped; as the vocabulary writes it if it is no text."""
    text = str(tokenizer.inner.decode([token], skip_special_tokens=False))
    if not text or _BROKEN in text:
        text = str(tokenizer.inner.id_to_token(token))
    return text.replace("\n", "\\n")
