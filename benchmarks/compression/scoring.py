"""Divergence of files from a reference, in torch, and through llama.cpp on the same tokens."""

from collections.abc import Mapping, Sequence
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
from seemant.core.atomic import atomic_path
from seemant.core.records import Lang
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import load_decoder
from seemant.models.tokenizer import tokenizer_of_metadata
from seemant.probe.divergence import TokenDivergence, rows_divergence

FIELDS = ("kld", "top1", "dnll", "nll_ref")


def reference_of(
    path: Path,
    text: Lines,
    *,
    chunks: int,
    length: int = 512,
    decoder: Decoder | None = None,
    part: int = 1,
    marks: Sequence[int] = (),
) -> Reference:
    """Return the reference's states on chunks of every language.

    decoder: the file's, where it is loaded already. part: 1 held-out text, 0 calibration text.
    """
    tokenizer = tokenizer_of_metadata(open_gguf(path).metadata)
    listed = {
        str(lang): chunks_of(lines[part], tokenizer, length=length, limit=chunks)
        for lang, lines in text.items()
    }
    decoder = decoder or load_decoder(path, words=False).decoder
    return Reference.of(decoder, listed, marks=tuple(marks))


def scores_of(path: Path, reference: Reference) -> Scores:
    """Return a file's divergence in torch: its weights, nothing else."""
    return damage(load_decoder(path, words=False).decoder, reference)


def save_scores(scores: Scores, to: Path) -> None:
    """Write every scored token of every chunk."""
    arrays = {
        f"{lang}.{number}.{name}": getattr(each, name)
        for lang, listed in scores.chunks.items()
        for number, each in enumerate(listed)
        for name in FIELDS
    }
    with atomic_path(to) as path, path.open("wb") as file:
        np.savez(file, **arrays)


def load_scores(path: Path) -> Scores:
    """Return what `save_scores` wrote."""
    found: dict[str, list[TokenDivergence]] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            lang, number, name = key.split(".")
            if name == FIELDS[0]:
                each = TokenDivergence(*(arrays[f"{lang}.{number}.{field}"] for field in FIELDS))
                found.setdefault(lang, []).append(each)
    return Scores({lang: tuple(listed) for lang, listed in found.items()})


def over_draws(draws: Sequence[Scores]) -> Scores:
    """Return scores whose every token has its mean over candidates on the same chunks."""
    return Scores(
        {
            lang: tuple(_mean(same) for same in zip(*(d.chunks[lang] for d in draws), strict=True))
            for lang in draws[0].languages
        }
    )


def _mean(same: Sequence[TokenDivergence]) -> TokenDivergence:
    # The reference's own losses are the same in all; the mean of three equal floats need not be.
    kld, top1, dnll = (np.mean([getattr(each, f) for each in same], axis=0) for f in FIELDS[:3])
    return TokenDivergence(kld, top1, dnll, same[0].nll_ref)


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
