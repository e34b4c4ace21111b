"""Texts that begin alike, computed alike once: a trie of token ids with the attention that fits it.

The 384 likelihoods of a check are 25,000 tokens as rows of their own; as a trie they are a third.
A node is a token behind its ancestors: it sees them and itself, and stands at its depth. So the
hidden state of a node is that of the text that leads to it, and two texts share the nodes of their
common beginning. The last token of a text predicts nothing that is wanted, and has no node.

A trie is cut off at `room` nodes, since its attention is dense, and filled up to exactly that with
nodes that stand alone: all passes then have one shape, for which the kernels are compiled once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seemant.models.decoder.attention import Layout

ROOM = 256  # nodes: a larger trie shares more, and pays with the square in its attention


@dataclass(slots=True)
class Trie:
    """ids, parents (-1: a root) and depths of nodes; where each text's targets are predicted.

    targets: (number of the text, node, id to predict), text after text.
    """

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    targets: list[tuple[int, int, int]] = field(default_factory=list)
    children: dict[tuple[int, int], int] = field(default_factory=dict)

    def missing(self, ids: Sequence[int]) -> int:
        """Return how many nodes these ids would add."""
        node = -1
        for at, token in enumerate(ids):
            if (node, token) not in self.children:
                return len(ids) - at
            node = self.children[node, token]
        return 0

    def add(self, number: int, ids: Sequence[int], n_prompt: int) -> None:
        """Add a text; its ids from `n_prompt` on (1 at least) are targets."""
        node = -1
        for at, token in enumerate(ids):
            if at >= n_prompt:
                self.targets.append((number, node, token))
            if at == len(ids) - 1:
                break
            if (node, token) not in self.children:
                self.children[node, token] = self._grow(token, node)
            node = self.children[node, token]

    def fill(self, room: int) -> None:
        """Add roots that nobody asks about, up to `room` nodes."""
        while len(self.ids) < room:
            self._grow(0, -1)

    def _grow(self, token: int, parent: int) -> int:
        self.ids.append(token)
        self.parents.append(parent)
        self.depths.append(0 if parent < 0 else self.depths[parent] + 1)
        return len(self.ids) - 1


def tries(texts: Iterable[tuple[Sequence[int], int]], room: int = ROOM) -> list[Trie]:
    """Return tries that hold all texts (ids, n_prompt), in their order.

    A text longer than `room` gets a trie of its own size.
    """
    made: list[Trie] = []
    for number, (ids, n_prompt) in enumerate(texts):
        if not made or len(made[-1].ids) + made[-1].missing(ids[:-1]) > room:
            made.append(Trie())
        made[-1].add(number, ids, n_prompt)
    for trie in made:
        trie.fill(room)
    return made


class Branches(Layout):
    """How a decoder runs over a trie: positions (N,) int64, and attention among ancestors.

    For passes without gradient.
    """

    def __init__(self, trie: Trie) -> None:
        self.positions = torch.tensor(trie.depths)
        self.deepest = max(trie.depths)
        seen = torch.eye(len(trie.ids), dtype=torch.bool)
        for node, parent in enumerate(trie.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        self._seen = seen
        self._masks: dict[int | None, Tensor] = {}

    def attend(self, q: Tensor, k: Tensor, v: Tensor, window: int | None) -> Tensor:
        """Return O (N, heads * head_dim): q (N, heads, hd) scaled, k and v (N, kv_heads, hd).

        window: how many tokens a token sees, itself among them; None: all.
        """
        n, kv_heads = k.shape[:2]
        by_head = q.view(n, kv_heads, -1, q.shape[-1]).permute(1, 2, 0, 3)  # (kv, sharing, N, hd)
        keys, held = k.permute(1, 2, 0)[:, None], v.transpose(0, 1)[:, None]
        scores = torch.matmul(by_head, keys).float() + self.mask(window).to(q.device)
        o = torch.matmul(torch.softmax(scores, -1).to(q.dtype), held)
        return o.permute(2, 0, 1, 3).reshape(n, -1)

    def mask(self, window: int | None) -> Tensor:
        """Return 0 where node i may see node j, else -inf: (N, N) float32."""
        if window not in self._masks:
            seen = self._seen
            if window is not None:
                seen = seen & (self.positions[:, None] - self.positions < window)
            self._masks[window] = torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)
        return self._masks[window]
