"""Divergence of files from a reference, in torch, and through llama.cpp on the same tokens."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from compression.texts import Lines
from seemant.compress.calibrate.stream import SITE_OF, LayerStream
from seemant.compress.calibrate.tensors import tensors_of
from seemant.compress.calibrate.tokens import read_text, sequences_of
from seemant.compress.evaluate.chunks import chunks_of, scored
from seemant.compress.evaluate.damage import damage
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.scores import Scores
from seemant.compress.source import Source
from seemant.core.records import Lang
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.models.decoder.load import load_decoder
from seemant.models.tokenizer import tokenizer_of_metadata
from seemant.probe.divergence import rows_divergence


def reference_of(path: Path, text: Lines, *, chunks: int, length: int = 512) -> Reference:
    """Return the reference's states on held-out chunks of every language."""
    tokenizer = tokenizer_of_metadata(open_gguf(path).metadata)
    listed = {
        str(lang): chunks_of(heldout, tokenizer, length=length, limit=chunks)
        for lang, (_, heldout) in text.items()
    }
    return Reference.of(load_decoder(path, words=False).decoder, listed)


def scores_of(path: Path, reference: Reference) -> Scores:
    """Return a file's divergence in torch: its weights, nothing else."""
    return damage(load_decoder(path, words=False).decoder, reference)


def importance_of(
    file: GgufFile, calibration: Path, languages: tuple[Lang, ...], *, tokens: int, length: int
) -> dict[str, np.ndarray]:
    """Return llama.cpp's importance by matrix: the mean of x² by column, on the float model."""
    tokenizer = tokenizer_of_metadata(file.metadata)
    sequences = sequences_of(
        read_text(calibration), tokenizer, languages, tokens=tokens, length=length
    )
    mix: Mapping[str, list[list[int]]] = {str(lang): each for lang, each in sequences.items()}
    stream = LayerStream(tensors_of(Source(file, {})), mix, weights={lang: 1.0 for lang in mix})
    found = {}
    for work in stream.layers():
        for name in work.weights:
            kind = name.split(".")[2]
            if kind in SITE_OF and name.endswith(".weight"):
                moments = work.moments[SITE_OF[kind]]["mixed"]
                found[name] = moments.importance().numpy().astype(np.float32)
    return found


def deployed(path: Path, reference: Reference, *, chunks: int, threads: int) -> dict[str, float]:
    """Return a file's mean KLD by language through llama.cpp, on each language's first chunks."""
    from seemant.models.backends.open import open_backend

    done: dict[str, list[float]] = {}
    with open_backend(path, threads=threads, context=1024, strict=True) as backend:
        for index, batch in enumerate(reference.batches):
            at = 0
            for number in batch:
                lang, ids = reference.chunks[number]
                n = len(scored(len(ids)))
                states = reference.hidden[index][at : at + n]
                at += n
                if len(done.setdefault(lang, [])) < chunks:
                    first = scored(len(ids)).start + 1
                    done[lang].append(_kld(reference, states, backend.logprobs(ids, first), ids))
    return {lang: fmean(each) for lang, each in done.items()}


def _kld(reference: Reference, states: torch.Tensor, slices: object, ids: tuple[int, ...]) -> float:
    first, at, total = scored(len(ids)).start + 1, 0, 0.0
    for log_q in slices:  # type: ignore[attr-defined]
        n = len(log_q)
        logits = reference.head.logits(states[at : at + n], 0, reference.head.n_vocab)
        log_p = torch.log_softmax(logits, -1).numpy()
        targets = ids[first + at : first + at + n]
        total += float(rows_divergence(log_p, log_q, targets).kld.sum())
        at += n
    return total / at
