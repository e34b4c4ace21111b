"""The loop of generation, over an engine that spells out a fixed text."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seemant.core.errors import InputError
from seemant.models.backends.loop import answer, check_room, drain
from seemant.models.backends.protocol import Generation, Sampling

END = 0


def spell(text: str, *, stop: tuple[str, ...] = (), n: int = 99) -> tuple[list[str], Generation]:
    """Generate `text` letter by letter, then the end token; ids are code points."""
    coming = iter([*map(ord, text), END])

    def next_logits(token: int = END) -> NDArray[np.float32]:
        row = np.zeros(4096, np.float32)
        row[next(coming)] = 1.0
        return row

    pieces: list[str] = []
    stream = answer(
        [7, 8, 9],
        Sampling(max_new_tokens=n),
        stop,
        logits=next_logits(),
        advance=next_logits,
        is_end=lambda token: token == END,
        text_of=chr,
    )
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_the_end_token_stops_and_is_counted_but_not_shown() -> None:
    pieces, whole = spell("दिल्ली")
    assert whole == Generation(text="दिल्ली", finish_reason="stop", n_prompt=3, n_new=7)
    assert "".join(pieces) == whole.text


def test_the_limit_ends_with_length() -> None:
    _, whole = spell("abcdef", n=3)
    assert (whole.text, whole.finish_reason, whole.n_new) == ("abc", "length", 3)


def test_a_stop_string_ends_and_no_part_of_it_is_shown() -> None:
    pieces, whole = spell("yes\nQuestion: more", stop=("\nQuestion:",))
    assert (whole.text, whole.finish_reason) == ("yes", "stop")
    assert "".join(pieces) == "yes"


def test_text_that_only_looked_like_a_stop_string_is_shown() -> None:
    _, whole = spell("a\nQuest", stop=("\nQuestion:",))
    assert (whole.text, whole.finish_reason) == ("a\nQuest", "stop")


def test_draining_a_stream_gives_its_sum() -> None:
    def stream():  # type: ignore[no-untyped-def]
        yield "a"
        return Generation(text="a", finish_reason="stop", n_prompt=1, n_new=1)

    assert drain(stream()).text == "a"


@pytest.mark.parametrize(
    ("n_prompt", "n_new", "fits"), [(0, 1, False), (6, 4, True), (7, 4, False)]
)
def test_room_is_checked(n_prompt: int, n_new: int, fits: bool) -> None:
    if fits:
        check_room(n_prompt, n_new, 10)
    else:
        with pytest.raises(InputError):
            check_room(n_prompt, n_new, 10)
