"""What a candidate is compared with: final hidden states of the reference, and its head.

A state is d numbers where the distribution behind it is V: 0.65 MB a chunk of 512 tokens for Gemma
270M in place of 267. The distribution is made again from it where it is needed, exactly to float32.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seemant.compress.evaluate.chunks import batches_of, scored
from seemant.compress.evaluate.head import Head
from seemant.core.atomic import atomic_path
from seemant.core.errors import BadFile
from seemant.core.os_errors import from_os_error
from seemant.models.decoder.decoder import Decoder
from seemant.train.tensor_file import write_tensors

BATCH_TOKENS = 1024
Chunk = tuple[str, tuple[int, ...]]
"""Language, token ids."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Chunks, the states that predict their scored tokens, and the head that reads the states.

    chunks: in order, languages together. hidden: a batch's scored states (n, d) float32, batch by
    batch. marks: layer -> residual streams (tokens, d) at its input, batch by batch, so that a
    change above it need not run what lies below.
    """

    chunks: tuple[Chunk, ...]
    batches: tuple[range, ...]
    hidden: tuple[Tensor, ...]
    head: Head
    marks: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        decoder: Decoder,
        sequences: Mapping[str, Sequence[Sequence[int]]],
        *,
        marks: Sequence[int] = (),
        batch_tokens: int = BATCH_TOKENS,
    ) -> "Reference":
        """Run the reference once over every language's chunks (`chunks_of`).

        marks: layers whose inputs are kept, tokens * d floats each.
        """
        chunks = tuple((lang, tuple(ids)) for lang, listed in sequences.items() for ids in listed)
        if not chunks or min(len(ids) for _, ids in chunks) < 4:
            raise ValueError("no chunks, or one that is shorter than 4 tokens")
        batches = tuple(batches_of([len(ids) for _, ids in chunks], batch_tokens))
        hidden: list[Tensor] = []
        kept: dict[int, list[Tensor]] = {layer: [] for layer in marks if layer > 0}
        for batch in batches:
            streams, states = run_marked(decoder, [chunks[i][1] for i in batch], set(kept))
            hidden.append(states)
            for layer, stream in streams.items():
                kept[layer].append(stream)
        found = {layer: tuple(streams) for layer, streams in sorted(kept.items())}
        return cls(chunks, batches, tuple(hidden), Head.of(decoder), found)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in order."""
        return tuple(dict.fromkeys(lang for lang, _ in self.chunks))

    def targets(self, batch: range) -> Tensor:
        """Return the scored tokens of a batch, (n,) int64."""
        ids = [self.chunks[i][1][at + 1] for i in batch for at in scored(len(self.chunks[i][1]))]
        return torch.tensor(ids)

    def fingerprint(self) -> str:
        """Return a hash of chunks and states: what a kept measurement belongs to."""
        digest = hashlib.sha256(json.dumps(self.chunks).encode())
        for each in self.hidden:
            digest.update(each.numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write chunks and states as safetensors; the head stays where the model is.

        Raises:
            WorldError: the disk is full or refuses; nothing half-written is left.
        """
        facts = {
            "chunks": json.dumps(self.chunks),
            "batches": json.dumps([[b.start, b.stop] for b in self.batches]),
            "head": head_hash(self.head),
        }
        tensors = {f"hidden.{i}": each for i, each in enumerate(self.hidden)}
        try:
            with atomic_path(path) as temporary:
                # safetensors' own writer tells of a full disk as of a damaged file.
                write_tensors(temporary, tensors, facts)
        except OSError as error:
            raise from_os_error(error, path) from error

    @classmethod
    def load(cls, path: Path, head: Head) -> "Reference":
        """Return a saved reference, without marks; `head`: `Head.of` the reference model.

        Raises:
            BadFile: not such a file, or states of a model with another head.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), "pt") as file:
                facts = file.metadata() or {}
                batches = tuple(range(*each) for each in json.loads(facts["batches"]))
                hidden = tuple(file.get_tensor(f"hidden.{i}") for i in range(len(batches)))
            chunks = tuple((lang, tuple(ids)) for lang, ids in json.loads(facts["chunks"]))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise BadFile(
                f"no hidden states of a reference: {error}", where=str(path), fix="make them again"
            ) from error
        if facts["head"] != head_hash(head):
            raise BadFile(
                "these hidden states belong to a model with another head",
                where=str(path),
                fix="give the model that they were made with, or make them again",
            )
        return cls(chunks, batches, hidden, head)


@torch.inference_mode()
def run_marked(
    decoder: Decoder,
    sequences: Sequence[Sequence[int]],
    marks: set[int],
    *,
    start: int = 0,
    stream: Tensor | None = None,
) -> tuple[dict[int, Tensor], Tensor]:
    """Return the residual streams at the inputs of layers `marks`, and the scored final states.

    start, stream: the layer to begin at and the stream (tokens, d) at its input; None: the
    embedding of the tokens.
    """
    lengths = [len(ids) for ids in sequences]
    if stream is None:
        stream = decoder.embed(torch.tensor([token for ids in sequences for token in ids]))
    rows = decoder.rows_of(lengths, stream.device)
    kept: dict[int, Tensor] = {}
    for layer, block in enumerate(decoder.model.layers):
        if layer in marks:
            kept[layer] = stream.clone()
        if layer >= start:
            stream = block(stream, rows)
    starts = np.cumsum([0, *lengths[:-1]])
    at = [int(first) + i for first, n in zip(starts, lengths, strict=True) for i in scored(n)]
    return kept, decoder.model.norm(stream[torch.tensor(at)]).float()


def head_hash(head: Head) -> str:
    """Return a hash of sums over a head's rows, which is quicker than one of its values."""
    matrix = head.matrix
    digest = hashlib.sha256(f"{tuple(matrix.shape)} {head.softcap}".encode())
    step = 1 << 14
    for start in range(0, head.n_vocab, step):
        stop = min(start + step, head.n_vocab)
        rows = (
            matrix[start:stop]
            if isinstance(matrix, Tensor)
            else matrix.rows(start, stop, torch.float32)
        )
        sums = torch.stack([rows.sum(0), rows[:: step // 16].sum(0)])
        digest.update(sums.float().numpy().tobytes())
    return digest.hexdigest()[:16]
