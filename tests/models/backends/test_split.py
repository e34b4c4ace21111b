"""Where a context ends and its continuation begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import InputError
from seemant.models.backends.split import split_pair

BOS = 1


def words(text: str, special: bool) -> list[int]:
    """A tokenizer whose tokens are words with their leading space."""
    pieces: list[str] = []
    for letter in text:
        if (letter == " " and not (pieces and pieces[-1].isspace())) or not pieces:
            pieces.append(letter)
        else:
            pieces[-1] += letter
    return [BOS] * special + [2 + hash(piece) % 10**9 for piece in pieces]


def pairs(text: str, special: bool) -> list[int]:
    """A tokenizer that joins every two letters: borders at odd places merge."""
    return [BOS] * special + [hash(text[i : i + 2]) % 10**9 for i in range(0, len(text), 2)]


@given(st.text("abक", min_size=1, max_size=6), st.text("abಕ", min_size=1, max_size=6))
def test_trailing_spaces_belong_to_the_continuation(context: str, continuation: str) -> None:
    one = split_pair(words, context + " ", continuation, start=BOS)
    other = split_pair(words, context, " " + continuation, start=BOS)
    assert one == other
    assert one.context == words(context, True)
    assert one.n_bytes == len(continuation.encode())


def test_a_merged_border_is_marked_and_the_context_keeps_its_own_tokens() -> None:
    pair = split_pair(pairs, "abc", "def", start=BOS)
    assert pair.merged
    assert pair.context == pairs("abc", True)
    assert pair.continuation == pairs("def", False)


def test_a_clean_border_uses_the_whole_texts_tokens() -> None:
    pair = split_pair(pairs, "abcd", "ef", start=BOS)
    assert not pair.merged
    assert pair.context + pair.continuation == pairs("abcdef", True)


def test_an_empty_context_begins_with_the_start_token() -> None:
    pair = split_pair(lambda text, special: pairs(text, False), "", "ab", start=77)
    assert pair.context == [77]
    assert pair.continuation == pairs("ab", False)


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_an_empty_continuation_is_refused(nothing: str) -> None:
    with pytest.raises(InputError):
        split_pair(words, "a", nothing, start=BOS)
