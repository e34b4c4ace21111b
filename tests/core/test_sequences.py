"""What two sequences share from their beginning."""

from hypothesis import given
from hypothesis import strategies as st

from seemant.core.sequences import n_shared

words = st.lists(st.sampled_from("ab"), max_size=12)


@given(words, words)
def test_so_many_items_are_the_same_and_no_more(a: list[str], b: list[str]) -> None:
    n = n_shared(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]
