"""Where a text is cut: by itself alone, never too long, at seams where enough stands before."""

from hypothesis import given
from hypothesis import strategies as st

from seemant.models.backends.llama_blocks import BLOCK, LEAST, block_ends

SEAM = 9
texts = st.lists(st.sampled_from([1, 2, SEAM]), max_size=300)


def ends(tokens: list[int]) -> list[int]:
    return block_ends(tokens, lambda token: token == SEAM)


@given(texts)
def test_blocks_are_at_most_64_and_end_at_seams_or_are_full(tokens: list[int]) -> None:
    found = ends(tokens)
    for start, end in zip([0, *found], found, strict=False):
        size = end - start
        assert size == BLOCK or (LEAST <= size < BLOCK and tokens[end] == SEAM)
        assert not any(token == SEAM for token in tokens[start + LEAST : end])
    rest = tokens[found[-1] if found else 0 :]
    assert len(rest) < BLOCK and SEAM not in rest[LEAST:]


@given(texts, texts, texts)
def test_what_follows_moves_no_earlier_end(shared: list[int], a: list[int], b: list[int]) -> None:
    n = len(shared)
    ours = [end for end in ends(shared + a) if end < n]
    assert ours == [end for end in ends(shared + b) if end < n]


def test_without_seams_blocks_are_of_64() -> None:
    assert ends([1] * 200) == [64, 128, 192]
    assert ends([1] * 128) == [64, 128]
    assert ends([]) == ends([1] * 63) == []
