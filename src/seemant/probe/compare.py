"""One passage through the reference and its candidates, slice by slice.

The reference's head, the dearest step at 262,144 tokens, is applied once a slice for all routes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.records import Lang
from seemant.probe.chunk_sums import Chunk, chunk_of
from seemant.probe.divergence import MAX_ROWS, Rows, TokenDivergence, joined, rows_divergence
from seemant.probe.passages import FIRST, Passage

if TYPE_CHECKING:
    from seemant.models.backends.protocol import Backend
    from seemant.models.load import TorchModel
    from seemant.probe.torch_rows import Head

WEIGHTS, DEPLOYED = "weights", "deployed"
TORCH = "torch"
Tokens = dict[tuple[Lang, str], list[float]]
"""(language, route) -> the KLD of every scored token, nats."""


@dataclass(frozen=True, slots=True)
class States:
    """A model's head and its final hidden states, (n, width) a passage; its body is not kept."""

    head: "Head"
    hidden: list[NDArray[np.float32]]


def states_of(model: "TorchModel", passages: Sequence[Passage], *, copy: bool = False) -> States:
    """Return the states that predict every scored token of the passages.

    copy: of the head, so that the model's file need not stay mapped.
    """
    from seemant.probe.torch_rows import head_of, hidden_states

    hidden = [hidden_states(model.model, passage.tokens, FIRST) for passage in passages]
    return States(head_of(model.model, copy=copy), hidden)


def compared(
    passage: Passage,
    index: int,
    reference: States,
    weights: States | None,
    backend: "Backend | None",
) -> dict[str, Any]:
    """Return the journal's entry of the passage at `index` of the states: every token's figures."""
    parts: dict[str, list[TokenDivergence]] = {}
    at = 0
    for size, deployed in _slices(passage, backend):
        targets = passage.targets[at : at + size]
        p_rows = reference.head.slice(reference.hidden[index][at : at + size])
        if weights is not None:
            q_rows = weights.head.slice(weights.hidden[index][at : at + size])
            parts.setdefault(WEIGHTS, []).append(rows_divergence(p_rows, q_rows, targets))
        if deployed is not None:
            parts.setdefault(DEPLOYED, []).append(rows_divergence(p_rows, deployed, targets))
        at += size
    engines = {WEIGHTS: TORCH, DEPLOYED: backend.name if backend is not None else TORCH}
    return {
        "lang": passage.lang,
        "paragraph_id": passage.paragraph_id,
        "routes": {
            route: {"engine": engines[route], **_lists(joined(slices))}
            for route, slices in parts.items()
        },
    }


def collected(
    passages: Sequence[Passage], routes: Sequence[str], entries: Sequence[dict[str, Any]]
) -> tuple[list[Chunk], Tokens]:
    """Return the chunks, in the passages' order, and the KLD of every token."""
    found = {(entry["lang"], entry["paragraph_id"]): entry["routes"] for entry in entries}
    chunks: list[Chunk] = []
    tokens: Tokens = {}
    for passage in passages:
        for route in routes:
            lists = found[passage.lang, passage.paragraph_id][route]
            each = TokenDivergence(
                **{name: np.asarray(lists[name]) for name in TokenDivergence.__slots__}
            )
            tokens.setdefault((passage.lang, route), []).extend(each.kld.tolist())
            chunks.append(
                chunk_of(
                    each,
                    lang=passage.lang,
                    paragraph_id=passage.paragraph_id,
                    route=route,
                    engine=lists["engine"],
                    n_bytes=passage.n_bytes,
                )
            )
    return chunks, tokens


def _slices(passage: Passage, backend: "Backend | None") -> Iterator[tuple[int, Rows | None]]:
    """Yield (rows, the engine's log-probabilities or None): an engine decides how to cut."""
    n = len(passage.targets)
    if backend is None:
        for at in range(0, n, MAX_ROWS):
            yield min(MAX_ROWS, n - at), None
        return
    for rows in backend.logprobs(passage.tokens, FIRST):
        for at in range(0, len(rows), MAX_ROWS):
            part = rows[at : at + MAX_ROWS]
            yield len(part), part


def _lists(found: TokenDivergence) -> dict[str, list[float]]:
    return {name: getattr(found, name).tolist() for name in TokenDivergence.__slots__}
