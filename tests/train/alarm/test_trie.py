"""Texts that share a beginning, computed once, must give what each gives by itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seemant.train.alarm.likelihoods import run
from seemant.train.alarm.trie import Branches, Trie, tries
from tests.train.tiny import decoder_of, tiny_gemma, tiny_llama

TEXTS = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=2, max_size=9), st.integers(1, 4)).map(
        lambda pair: (pair[0], min(pair[1], len(pair[0]) - 1))
    ),
    min_size=1,
    max_size=12,
)


def path(trie: Trie, node: int) -> list[int]:
    """The ids that lead to a node."""
    ids = []
    while node >= 0:
        ids.append(trie.ids[node])
        node = trie.parents[node]
    return ids[::-1]


@given(TEXTS, st.integers(10, 40))
def test_every_target_is_predicted_by_the_text_before_it(
    texts: list[tuple[list[int], int]], room: int
) -> None:
    seen: dict[int, list[tuple[list[int], int]]] = {}
    for trie in tries(texts, room):
        assert len(trie.ids) == room
        for number, node, target in trie.targets:
            seen.setdefault(number, []).append((path(trie, node), target))
    for number, (ids, n_prompt) in enumerate(texts):
        expected = [(ids[:at], ids[at]) for at in range(n_prompt, len(ids))]
        assert seen[number] == expected


@given(TEXTS)
def test_no_beginning_is_computed_twice_in_one_trie(texts: list[tuple[list[int], int]]) -> None:
    (trie,) = tries(texts, room=1000)
    used = len({tuple(ids[:n]) for ids, _ in texts for n in range(1, len(ids))})
    paths = {tuple(path(trie, node)) for node in range(used)}
    assert len(paths) == used
    assert all(parent == -1 for parent in trie.parents[used:])


def test_a_text_longer_than_the_room_has_a_trie_of_its_own() -> None:
    made = tries([([1, 2], 1), (list(range(9)), 2), ([1, 2], 1)], room=4)
    assert [len(trie.ids) for trie in made] == [4, 8, 4]


def naive(q: Tensor, k: Tensor, v: Tensor, trie: Trie, window: int | None) -> Tensor:
    """Attention of every node over the nodes on its path, one by one."""
    sharing = q.shape[1] // k.shape[1]
    out = torch.zeros_like(q)
    for node in range(len(trie.ids)):
        seen, at = [], node
        while at >= 0:
            seen.append(at)
            at = trie.parents[at]
        seen = seen[:window]
        for head in range(q.shape[1]):
            keys, held = k[seen, head // sharing], v[seen, head // sharing]
            out[node, head] = torch.softmax(keys @ q[node, head], 0) @ held
    return out.flatten(1)


@pytest.mark.parametrize("window", [None, 2, 100])
def test_attention_is_over_ancestors_alone(window: int | None) -> None:
    texts = [([1, 2, 3, 4, 5], 2), ([1, 2, 7, 8], 1), ([9, 9, 9], 1), ([1, 2, 3, 6, 6], 1)]
    (trie,) = tries(texts, room=16)
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(16, 6, 8, generator=generator)
    k, v = (torch.randn(16, 2, 8, generator=generator) for _ in range(2))
    got = Branches(trie).attend(q, k, v, window)
    torch.testing.assert_close(got, naive(q, k, v, trie, window), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_a_trie_gives_the_hidden_states_of_each_text_alone(family: str) -> None:
    decoder = decoder_of(tiny_llama(50) if family == "llama" else tiny_gemma(50))
    prompt = list(range(1, 24))  # longer than Gemma's window of 16
    texts = [([*prompt, 30, 31, 32], 23), ([*prompt, 30, 40], 23), ([*prompt[:5], 41, 42, 43], 5)]
    (trie,) = tries(texts, room=48)
    with torch.no_grad():
        hidden = run(decoder, torch.tensor(trie.ids), Branches(trie))
        alone = [decoder(torch.tensor(ids), [len(ids)]) for ids, _ in texts]
    for number, node, _ in trie.targets:
        at = trie.depths[node]
        torch.testing.assert_close(hidden[node], alone[number][at], rtol=1e-5, atol=1e-5)
