"""Passages through the reference and its candidates, a few passages at a time.

The heads, the dearest step at 262,144 tokens, are read once a group of passages, and the
reference's logits serve all routes. Groups are cut from all passages, whatever is done already:
how many rows stand in one product decides its last bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seemant.core.records import Lang
from seemant.probe.chunk_sums import Chunk, chunk_of
from seemant.probe.divergence import TokenDivergence
from seemant.probe.passages import FIRST, Passage

if TYPE_CHECKING:
    from torch import Tensor

    from seemant.models.backends.protocol import Backend
    from seemant.models.decoder.weights import Weights
    from seemant.probe.vocabulary import Head, Source

WEIGHTS, DEPLOYED = "weights", "deployed"
TORCH = "torch"
Tokens = dict[tuple[Lang, str], list[float]]
"""(language, route) -> the KLD of every scored token, nats."""

GROUP_BYTES = 3 << 28  # 805 MB of an engine's logits at once: 768 rows of 262,144 tokens
BATCH_TOKENS = 2048  # through the body at once; its matrices are read again for each batch


@dataclass(frozen=True, slots=True)
class States:
    """A model's head and its final hidden states, (n, width) a passage; its body is not kept."""

    head: "Head"
    hidden: "list[Tensor]"


def states_of(weights: "Weights", passages: Sequence[Passage]) -> States:
    """Return the states that predict every scored token of the passages."""
    import torch

    from seemant.probe.streamed import streamed_decoder
    from seemant.probe.vocabulary import Head

    shape = weights.shape
    decoder = streamed_decoder(weights)
    hidden: list[Tensor] = []
    with torch.inference_mode():
        for batch in _runs([len(passage.targets) for passage in passages], BATCH_TOKENS):
            given = [passages[index].tokens[:-FIRST] for index in batch]
            ids = torch.tensor([token for tokens in given for token in tokens])
            lengths = [len(tokens) for tokens in given]
            hidden += decoder(ids, lengths).split(lengths)
    name = "model.embed_tokens.weight" if shape.tied else "lm_head.weight"
    return States(Head(shape.vocab, weights.blocks[name], shape.softcap), hidden)


def groups_of(passages: Sequence[Passage], n_vocab: int) -> list[range]:
    """Return which passages are compared at once: of one language, and of bounded size."""
    rows = max(1, GROUP_BYTES // (4 * n_vocab))
    groups: list[range] = []
    for lang in dict.fromkeys(passage.lang for passage in passages):
        own = [index for index, passage in enumerate(passages) if passage.lang == lang]
        first = own[0]  # passages stand a language after another
        for run in _runs([len(passages[index].targets) for index in own], rows):
            groups.append(range(first + run.start, first + run.stop))
    return groups


def compared(
    passages: Sequence[Passage],
    group: range,
    reference: States,
    weights: States | None,
    backend: "Backend | None",
) -> list[dict[str, Any]]:
    """Return the journal's entries of a group of the passages: every token's figures."""
    import torch

    from seemant.probe.vocabulary import Given, divergences

    own = [passages[index] for index in group]
    candidates: dict[str, Source] = {}
    if weights is not None:
        candidates[WEIGHTS] = weights.head, torch.cat([weights.hidden[i] for i in group])
    if backend is not None:
        rows = (part for passage in own for part in backend.logprobs(passage.tokens, FIRST))
        candidates[DEPLOYED] = Given(list(rows))
    found = divergences(
        (reference.head, torch.cat([reference.hidden[i] for i in group])),
        candidates,
        [target for passage in own for target in passage.targets],
    )
    engines = {WEIGHTS: TORCH, DEPLOYED: backend.name if backend is not None else TORCH}
    entries = []
    at = 0
    for passage in own:
        rows_of_it = slice(at, at + len(passage.targets))
        at = rows_of_it.stop
        routes = {
            route: {"engine": engines[route], **_lists(each, rows_of_it)}
            for route, each in found.items()
        }
        entries.append(
            {"lang": passage.lang, "paragraph_id": passage.paragraph_id, "routes": routes}
        )
    return entries


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


def _runs(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Yield runs of neighbours of at most so much together, or of one that is larger."""
    first, total = 0, 0
    for index, size in enumerate(sizes):
        if total and total + size > most:
            yield range(first, index)
            first, total = index, 0
        total += size
    if len(sizes) > first:
        yield range(first, len(sizes))


def _lists(found: TokenDivergence, rows: slice) -> dict[str, list[float]]:
    return {name: getattr(found, name)[rows].tolist() for name in TokenDivergence.__slots__}
