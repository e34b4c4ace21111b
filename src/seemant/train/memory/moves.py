"""What a search for a plan may change, in the order of its price: each move a pure function."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from seemant.train.config import TrainConfig
from seemant.train.memory.plan import Malloc

_SMALLEST_BLOCK = 2048
_EXACT_FIRST = ("float", "int8", "int4")

# Times a step took, against the one before, when the method was designed (Gemma 3 1B, one thread
# of an AVX-512 CPU with AMX); another machine's will differ.
_PRICES = {
    "again": "x 1.28 to 1.44 time",
    "malloc": "x 1.20 to 1.45 time",
    "micro": "more, smaller products",
    "block": "about none",
    "int8": "x 1.35 time; rounds the weights",
    "int4": "x 1.7 time; rounds the weights: probe it",
    "embedding": "about none; rounds the embedding: probe it",
    "kept": "saves 22 to 31 % time",
    "exact": "saves 26 to 41 % time",
    "bigger": "fewer, larger products",
}


@dataclass(frozen=True, slots=True)
class State:
    """Settings as a search has made them so far, and how the allocator will be set."""

    config: TrainConfig
    malloc: Malloc


@dataclass(frozen=True, slots=True)
class Move:
    """A change of the state: `apply` returns None where there is nothing to change."""

    order: str
    name: str
    fields: tuple[str, ...]
    price: str
    apply: Callable[[State], State | None]
    rounds: bool = False


def downwards() -> Iterator[Move]:
    """Yield what saves memory, cheapest first."""
    yield Move("2", "compute layers again", ("checkpointing",), _PRICES["again"], _checkpoint(True))
    yield Move("2b", "small mmap threshold", (), _PRICES["malloc"], _threshold)
    for _ in range(8):
        yield Move(
            "3", "smaller micro-batch", ("batch", "accumulation"), _PRICES["micro"], _smaller
        )
    yield Move("4", "smaller blocks", ("vocab_block",), _PRICES["block"], _block)
    for kind in _EXACT_FIRST[1:]:
        yield Move("5", "rounded base", ("base",), _PRICES[kind], _round("base", kind), True)
    for kind in _EXACT_FIRST[1:]:
        round_it = _round("embedding", kind)
        yield Move("6", "rounded embedding", ("embedding",), _PRICES["embedding"], round_it, True)


def upwards() -> Iterator[Move]:
    """Yield what gives back time or exactness, in the order in which it is tried."""
    yield Move("up", "keep every layer", ("checkpointing",), _PRICES["kept"], _checkpoint(False))
    for kind in ("float", "int8"):
        yield Move("up", "more exact base", ("base",), _PRICES["exact"], _refine(kind))
    yield Move("up", "bigger micro-batch", ("batch", "accumulation"), _PRICES["bigger"], _bigger)


def _checkpoint(wanted: bool) -> Callable[[State], State | None]:
    def apply(state: State) -> State | None:
        return None if state.config.checkpointing == wanted else _with(state, checkpointing=wanted)

    return apply


def _threshold(state: State) -> State | None:
    return None if state.malloc != "default" else State(state.config, "mmap threshold")


def _smaller(state: State) -> State | None:
    """Divide the micro-batch by its smallest prime factor; as many rows make a step as before."""
    config = state.config
    if config.pack or config.batch == 1:
        return None
    p = _smallest_factor(config.batch)
    return _with(state, batch=config.batch // p, accumulation=config.accumulation * p)


def _bigger(state: State) -> State | None:
    config = state.config
    if config.pack or config.accumulation == 1:
        return None
    p = _smallest_factor(config.accumulation)
    return _with(state, batch=config.batch * p, accumulation=config.accumulation // p)


def _block(state: State) -> State | None:
    small = state.config.vocab_block <= _SMALLEST_BLOCK
    return None if small else _with(state, vocab_block=_SMALLEST_BLOCK)


def _round(field: str, kind: str) -> Callable[[State], State | None]:
    def apply(state: State) -> State | None:
        now = getattr(state.config, field)
        if state.config.method == "full" or now not in _EXACT_FIRST:
            return None
        coarser = _EXACT_FIRST.index(now) < _EXACT_FIRST.index(kind)
        return _with(state, **{field: kind}) if coarser else None

    return apply


def _refine(kind: str) -> Callable[[State], State | None]:
    def apply(state: State) -> State | None:
        now = state.config.base
        if now not in _EXACT_FIRST or _EXACT_FIRST.index(now) <= _EXACT_FIRST.index(kind):
            return None
        return _with(state, base=kind)

    return apply


def _with(state: State, **changes: Any) -> State:
    return State(state.config.model_copy(update=changes), state.malloc)


def _smallest_factor(n: int) -> int:
    return next((p for p in range(2, int(n**0.5) + 1) if n % p == 0), n)
