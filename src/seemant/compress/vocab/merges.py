"""How a BPE tokenizer comes to a token: the pieces that must exist for it to be reached.

Merging is greedy: of all neighbours whose joined text is a token the best-ranked pair is joined,
the leftmost of equals. What happens inside a finished token does not depend on what stands beside
it, so the pieces of a token alone are the pieces of that token in every text. If a trimmed
vocabulary keeps them, a text whose tokens are all kept is cut exactly as before.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Rank = Callable[[str, str], tuple[int, int] | None]
"""Left, right -> how soon the pair is joined (less is sooner), None: never."""


def rank_of(metadata: Mapping[str, Any]) -> Rank:
    """Return the ranks of a GGUF file's tokenizer: by merges, or SentencePiece's by scores."""
    tokens = metadata["tokenizer.ggml.tokens"]
    if metadata.get("tokenizer.ggml.model") == "gpt2":
        order: dict[Any, int] = {
            tuple(merge.split(" ", 1)): index
            for index, merge in enumerate(metadata.get("tokenizer.ggml.merges", ()))
        }

        def by_merges(left: str, right: str) -> tuple[int, int] | None:
            index = order.get((left, right))
            return None if index is None else (index, 0)

        return by_merges
    scores = metadata.get("tokenizer.ggml.scores") or [0.0] * len(tokens)
    best = sorted(range(len(tokens)), key=lambda index: -scores[index])
    place = {tokens[index]: at for at, index in reversed(list(enumerate(best)))}

    def by_scores(left: str, right: str) -> tuple[int, int] | None:
        at = place.get(left + right)
        # `models.tokenizer` orders splits of one token by the length of their left part
        return None if at is None or left not in place or right not in place else (at, len(left))

    return by_scores


def pieces_of(token: str, rank: Rank) -> set[str]:
    """Return the characters of a token and every piece that is joined on the way to it."""
    parts = list(token)
    found = set(parts)
    while len(parts) > 1:
        ranked = [
            (found_rank, at)
            for at in range(len(parts) - 1)
            if (found_rank := rank(parts[at], parts[at + 1])) is not None
        ]
        if not ranked:
            break
        _, at = min(ranked)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        found.add(parts[at])
    return found


def with_pieces(tokens: Iterable[str], rank: Rank) -> set[str]:
    """Return the tokens and all pieces on the way to them."""
    found: set[str] = set()
    for token in tokens:
        found.add(token)
        found |= pieces_of(token, rank)
    return found
