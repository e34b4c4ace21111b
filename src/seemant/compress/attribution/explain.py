"""Explanatory columns of every layer and language, from one walk of both models."""

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seemant.compress.attribution import columns
from seemant.compress.attribution.decoders import Pair, blocks_of, linears_of, weight_of
from seemant.compress.attribution.text import Batch, Text
from seemant.core.records import Lang, Record

# The linear whose input is taken, of those that share it.
SITE_OF = {
    "q_proj": "q_proj",
    "k_proj": "q_proj",
    "v_proj": "q_proj",
    "o_proj": "o_proj",
    "gate_proj": "gate_proj",
    "up_proj": "gate_proj",
    "down_proj": "down_proj",
}


class Columns(Record):
    """One line of `columns.jsonl`: a layer in a language.

    relative_error: of the layer's matrices together; weighted_error: tr(E H Eᵀ) / tr(W H Wᵀ), mean
    over its matrices; both None for a folded variant. kurtosis, max_over_rms, top8_share,
    effective_rank: of the residual stream at the layer's input, in the reference. cka: of the
    layer's output in reference and variant, everything compressed. similarity: by other language,
    how alike the covariances at the layer's input are.
    """

    layer: int
    lang: Lang
    relative_error: float | None
    weighted_error: float | None
    kurtosis: float
    max_over_rms: float
    top8_share: float
    effective_rank: float
    cka: float
    similarity: dict[str, float]


NUMERIC = (
    "relative_error",
    "weighted_error",
    "kurtosis",
    "max_over_rms",
    "top8_share",
    "effective_rank",
    "cka",
)


@torch.inference_mode()
def explain(pair: Pair, text: Text) -> list[Columns]:
    """Return the columns, from the first batch of each language (up to 4,096 tokens)."""
    batches = _first_batches(text)
    rows = {g: pair.reference.rows_of(b.lengths, b.ids.device) for g, b in batches.items()}
    x = {lang: pair.reference.embed(batch.ids) for lang, batch in batches.items()}
    y = {lang: pair.candidate.embed(batch.ids) for lang, batch in batches.items()}
    made = []
    layers = zip(blocks_of(pair.reference), blocks_of(pair.candidate), strict=True)
    for layer, (ours, theirs) in enumerate(layers):
        before = dict(x)
        for lang in batches:
            with _inputs(pair, layer) as seen:
                x[lang] = ours(before[lang], rows[lang])
            y[lang] = theirs(y[lang], rows[lang])
            relative, weighted = (None, None) if pair.folded else _errors(pair, layer, seen)
            into = before[lang]
            made.append(
                Columns(
                    layer=layer,
                    lang=lang,
                    relative_error=relative,
                    weighted_error=weighted,
                    kurtosis=columns.kurtosis(into),
                    max_over_rms=columns.max_over_rms(into),
                    top8_share=columns.top_share(into),
                    effective_rank=columns.effective_rank(into),
                    cka=columns.linear_cka(x[lang], y[lang]),
                    similarity={
                        other: columns.covariance_similarity(into, before[other])
                        for other in batches
                        if other != lang
                    },
                )
            )
    return made


def _errors(pair: Pair, layer: int, seen: dict[str, Tensor]) -> tuple[float, float]:
    ours, theirs = (linears_of(each, layer) for each in (pair.reference, pair.candidate))
    squared = error_squared = 0.0
    weighted = []
    for name, own in ours.items():
        w = weight_of(own)
        error = weight_of(theirs[name]) - w
        size = float(torch.linalg.norm(w)) ** 2
        squared += size
        error_squared += columns.relative_error(w, error) ** 2 * size
        inputs = seen[SITE_OF[name.rpartition(".")[2]]]
        weighted.append(columns.weighted_error(w, error, inputs))
    return math.sqrt(error_squared / max(squared, 1e-300)), statistics.fmean(weighted)


@contextmanager
def _inputs(pair: Pair, layer: int) -> Iterator[dict[str, Tensor]]:
    """Give what comes into the layer's linears while it runs, by site."""
    seen: dict[str, Tensor] = {}
    sites = set(SITE_OF.values())
    hooks = [
        module.register_forward_pre_hook(_keep(seen, name.rpartition(".")[2]))
        for name, module in linears_of(pair.reference, layer).items()
        if name.rpartition(".")[2] in sites
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _keep(seen: dict[str, Tensor], site: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen[site] = given[0]

    return hook


def _first_batches(text: Text) -> dict[Lang, Batch]:
    """Return the first batch of every language."""
    found: dict[Lang, Batch] = {}
    for batch in text.batches:
        found.setdefault(batch.lang, batch)
    return found
