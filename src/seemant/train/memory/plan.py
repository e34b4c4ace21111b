"""What a run will take, by term, before it begins: from a configuration, with nothing built.

The peak is the largest phase: reading the vocabulary, loading, resuming, the loss and the backward
pass of a step, an evaluation. A plan is a value: equal plans have equal hashes, so the one that was
printed can be told from another.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from seemant.core.hashing import json_sha256
from seemant.core.measurement import Measurement
from seemant.models.decoder.shape import DecoderShape
from seemant.train.config import TrainConfig
from seemant.train.memory import phases, terms

Device = Literal["cpu", "cuda"]
Malloc = Literal["default", "mmap threshold"]
Terms = tuple[tuple[str, int], ...]

RUNTIME_BYTES = 270_000_000  # assumed until `seemant doctor` has measured it on this machine
FIXED_MISS = 0.10  # with the allocator fixed, until this machine has misses of its own
UNFIXED_MISS = 0.30  # default malloc: 7 to 28 % above the count while the method was designed
CUDA_MISS = 0.30  # no GPU was measured

# Predicted, never measured here: a context with its libraries takes 300 to 600 MB by card and
# driver; torch's default workspace for cuBLAS is 2 buffers of 4 MiB and 8 of 16 KiB; the caching
# allocator reserves in pieces, so what the card shows is more than what tensors take.
_CUDA_CONTEXT = 450_000_000
_CUBLAS_WORKSPACE = 2 * 2**22 + 8 * 2**14
_RESERVED_SHARE = 0.10
# A heap keeps holes where temporaries went: a share of what comes and goes, and with layers that
# are computed again one below each layer's input, which holds the heap up. Measured: 0.31 of the
# first on one shape, 0.29 to 0.37 of a live layer for each layer on three.
_HOLES_SHARE, _HOLES_A_LAYER = 0.30, 0.35
_CONTEXT, _RESERVED, _HOLES = "CUDA context", "reserved beyond tensors", "holes in the heap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run's memory.

    base, embedding: kinds of the frozen matrices. micro: rows of a micro-batch (None: packed);
    seq: tokens of its longest row; tokens: of the whole micro-batch. answer_share: rows that
    reach the head / tokens. phases: bytes by term. host_bytes: what a GPU run takes of the host.
    miss: how far below and above the prediction the truth may be; miss_from says who found that.
    """

    device: Device
    method: str
    rank: int
    base: str
    embedding: str
    compute: str
    micro: int | None
    accumulation: int
    seq: int
    tokens: int
    answer_share: float
    checkpointing: bool
    vocab_block: int
    optimiser: str
    malloc: Malloc
    n_trainable: int
    phases: tuple[tuple[str, Terms], ...]
    host_bytes: int | None
    miss: tuple[float, float]
    miss_from: str

    @property
    def peak_phase(self) -> str:
        """The phase that takes most."""
        return max(self.phases, key=lambda phase: _sum(phase[1]))[0]

    @property
    def terms(self) -> dict[str, int]:
        """Bytes by term in the phase that takes most."""
        return dict(dict(self.phases)[self.peak_phase])

    @property
    def terms_mb(self) -> dict[str, float]:
        """The same in MB, 1e6 bytes."""
        return {name: value / 1e6 for name, value in self.terms.items()}

    @property
    def peak_bytes(self) -> int:
        """Bytes of the largest phase."""
        return max(_sum(each) for _, each in self.phases)

    @property
    def peak_mb(self) -> float:
        """The same in MB, 1e6 bytes."""
        return self.peak_bytes / 1e6

    @property
    def interval(self) -> tuple[float, float]:
        """Bytes between which the true peak is expected."""
        return self.peak_bytes * (1 + self.miss[0]), self.peak_bytes * (1 + self.miss[1])

    @property
    def sha256(self) -> str:
        """Hash of everything above."""
        return json_sha256(asdict(self))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it, with its peak and its hash."""
        return asdict(self) | {"peak_bytes": self.peak_bytes, "sha256": self.sha256}


def plan_of(
    shape: DecoderShape,
    config: TrainConfig,
    *,
    max_length: int,
    answer_tokens: int,
    runtime_bytes: int = RUNTIME_BYTES,
    malloc: Malloc = "default",
    device: Device = "cpu",
    misses: Sequence[float] = (),
    token_counts: int | None = None,
) -> Plan:
    """Return the plan of a run.

    max_length: tokens of the longest row. answer_tokens: most rows of a micro-batch that reach
    the head. runtime_bytes: what the process holds before any model (`floor.py`). misses:
    measured / predicted - 1 of earlier runs on this machine; they become the interval.
    token_counts: how many different numbers of tokens the micro-batches have; None: many.
    """
    lengths = micro_lengths(config, max_length)
    tokens = sum(lengths)
    found = phases.phases_of(
        shape,
        config,
        lengths=lengths,
        answers=min(answer_tokens, tokens),
        runtime_bytes=runtime_bytes if device == "cpu" else 0,
        token_counts=token_counts,
    )
    for each in found.values():
        if device == "cuda":
            each |= _on_cuda(each)
        elif malloc == "default":
            each[_HOLES] = _holes(each, shape.layers)
    base, embedding = phases.kinds(config)
    miss, miss_from = _miss(misses, malloc, device)
    return Plan(
        device=device,
        method=config.method,
        rank=config.rank,
        base=base,
        embedding=embedding,
        compute=config.compute,
        micro=None if config.pack else config.batch,
        accumulation=config.accumulation,
        seq=max_length,
        tokens=tokens,
        answer_share=min(answer_tokens, tokens) / tokens,
        checkpointing=config.checkpointing,
        vocab_block=config.vocab_block,
        optimiser=config.optimiser,
        malloc=malloc,
        n_trainable=terms.n_trainable(shape, config.method, config.rank),
        phases=tuple((name, tuple(each.items())) for name, each in found.items()),
        host_bytes=runtime_bytes if device == "cuda" else None,
        miss=miss,
        miss_from=miss_from,
    )


def micro_lengths(config: TrainConfig, max_length: int) -> list[int]:
    """Return the rows of the largest micro-batch: all of full length, as nothing is padded."""
    if not config.pack:
        return [max_length] * config.batch
    whole, rest = divmod(max(config.pack, max_length), max_length)
    return [max_length] * whole + [rest] * (rest > 0)


def predicted(subject: str, plan: Plan) -> Measurement:
    """Return the plan's peak as a measurement of the origin "predicted"."""
    low, high = plan.interval
    return Measurement(
        subject=subject,
        metric="peak_rss",
        value=plan.peak_bytes,
        unit="bytes",
        ci_low=low,
        ci_high=high,
        ci_method=plan.miss_from,
        n=1,
        origin="predicted",
        conditions=conditions_of(plan),
        source="seemant.train.memory.plan",
    )


def conditions_of(plan: Plan) -> dict[str, str | int | float | bool | None]:
    """Return what of a plan tells one run's memory from another's."""
    return {
        "base": plan.base,
        "embedding": plan.embedding,
        "compute": plan.compute,
        "tokens": plan.tokens,
        "checkpointing": plan.checkpointing,
        "vocab_block": plan.vocab_block,
        "malloc": plan.malloc,
        "plan": plan.sha256[:12],
    }


def _on_cuda(phase: dict[str, int]) -> dict[str, int]:
    return {
        phases.KERNELS: _CUBLAS_WORKSPACE,
        _CONTEXT: _CUDA_CONTEXT,
        _RESERVED: _passing(phase, _RESERVED_SHARE),
    }


def _holes(phase: dict[str, int], layers: int) -> int:
    """Return what the default allocator keeps beyond the count in a phase."""
    if phases.LIVE in phase and phases.INPUTS in phase:
        return int(_HOLES_A_LAYER * layers * phase[phases.LIVE])
    return _passing(phase, _HOLES_SHARE)


def _passing(phase: dict[str, int], share: float) -> int:
    """Return a share of what comes and goes in a phase."""
    return int(share * sum(v for name, v in phase.items() if name not in phases.LASTING))


def _miss(
    misses: Sequence[float], malloc: Malloc, device: Device
) -> tuple[tuple[float, float], str]:
    if device == "cuda":
        return (-CUDA_MISS, CUDA_MISS), "assumed ±30 %: no GPU was measured"
    if misses:
        low, high = min(0.0, *misses), max(0.0, *misses)
        return (low, high), f"largest of {len(misses)} misses on this machine"
    if malloc == "default":
        return (-FIXED_MISS, UNFIXED_MISS), "assumed: the allocator is not fixed"
    return (-FIXED_MISS, FIXED_MISS), "assumed ±10 %: the allocator is fixed"


def _sum(items: Terms) -> int:
    return sum(value for _, value in items)
