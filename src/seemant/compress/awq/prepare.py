"""AWQ on one block: search every site's scale, fold it, then search the readers' clipping.

Nothing is rounded here but for measuring: what comes back is the same block with other weights
(and clipped ones beside them), on which any method may follow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from seemant.compress.awq.clip import NEVER, ClipReport, clipped
from seemant.compress.awq.config import AwqConfig
from seemant.compress.awq.fold import columns_of, fold_hessian, folded, folded_hessian
from seemant.compress.awq.moments import SiteMoments
from seemant.compress.awq.site_search import Forward, SiteSearch
from seemant.compress.awq.sites import Part, Site, sites_of
from seemant.formats.tensor_format import Format
from seemant.models.decoder.shape import DecoderShape


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What the search of a site found; errors are means a token of squared output errors.

    rtn_error: of alpha 0. measured: on "attention", "mlp" or "linear" (the readers' own outputs).
    screened: every alpha's error in the readers' own outputs.
    """

    alpha: float
    error: float
    rtn_error: float
    measured: str
    screened: dict[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class AwqResult:
    """A block that is ready to be rounded.

    weights: the block's tensors, folded: the same function. clipped: matrices to be rounded in
    place of theirs. scales: s of every input column (C,) by site: a Hessian of the old block
    becomes the new one's by `fold.folded_hessian`.
    """

    weights: dict[str, Tensor]
    clipped: dict[str, Tensor] = field(default_factory=dict)
    scales: dict[str, Tensor] = field(default_factory=dict)
    sites: dict[str, SiteReport] = field(default_factory=dict)
    clips: dict[str, ClipReport] = field(default_factory=dict)

    def to_round(self) -> dict[str, Tensor]:
        """Return the tensors as they are to be rounded: folded, and clipped where that helps."""
        return self.weights | self.clipped


def prepare_block(
    layer: int,
    weights: Mapping[str, Tensor],
    moments: Mapping[str, SiteMoments],
    forward: Forward,
    format_of: Callable[[str], Format | None],
    shape: DecoderShape,
    config: AwqConfig | None = None,
    *,
    keep_moments: bool = True,
) -> AwqResult:
    """Return a block with AWQ's scales folded in and its clipping chosen.

    weights: all tensors of the block in GGUF's names and layout, norms and biases too, float32.
    moments: by site, of this block's own inputs; a site that is not in it is left as it is.
    forward: a part's output (N, d) with given tensors on about 2k sample tokens; the norm before
        it and Gemma's after it are in it, the residual is not (`parts.block_parts`).
    format_of: what a matrix will be rounded to; None: it stays as it is.
    keep_moments: False: the Hessians become the new block's in place, which saves a copy.

    Raises:
        BadConfig: a family without a table, or a format that does not fit the rows.
        BadFile: weights or activations that are not finite. Both name the site.
    """
    config = config or AwqConfig()
    result = AwqResult(dict(weights))
    targets: dict[Part, Tensor] = {}
    for site in sites_of(shape.family):
        formats = _formats(layer, site, format_of)
        if not formats or site.name not in moments:
            continue
        if site.measured is not None and site.measured not in targets:
            targets[site.measured] = forward(site.measured, weights)
        search = SiteSearch(
            layer, site, dict(result.weights), moments[site.name], formats, shape, config
        )
        choice = search.choice(forward, targets[site.measured] if site.measured else None)
        if choice.alpha:
            result.weights.update(folded(result.weights, layer, site, choice.scale, shape))
        result.scales[site.name] = columns_of(choice.scale, site, shape)
        result.sites[site.name] = SiteReport(
            choice.alpha,
            choice.error,
            choice.rtn_error,
            site.measured or "linear",
            choice.screened,
        )
    targets.clear()
    fold = folded_hessian if keep_moments else fold_hessian
    for site in sites_of(shape.family):
        if site.name in result.scales and (config.clip or not keep_moments):
            hessian = fold(moments[site.name].hessian, result.scales[site.name])
            if config.clip:
                _clip(_formats(layer, site, format_of), hessian, config, result)
            del hessian  # before the next site's copy is made
    return result


def _clip(
    formats: Mapping[str, Format], hessian: Tensor, config: AwqConfig, result: AwqResult
) -> None:
    for name, format in formats.items():
        if name.split(".")[2] in NEVER:
            continue
        weight, report = clipped(
            result.weights[name],
            hessian,
            format,
            search=config.search,
            weighed=config.weighed,
            max_shrink=config.max_shrink,
            steps=config.clip_steps,
        )
        result.clips[name] = report
        if report.share:
            result.clipped[name] = weight


def _formats(
    layer: int, site: Site, format_of: Callable[[str], Format | None]
) -> dict[str, Format]:
    """Return the formats of a site's readers that will be rounded on a grid."""
    names = [f"blk.{layer}.{reader}.weight" for reader in site.readers]
    found = {name: format_of(name) for name in names}
    return {name: each for name, each in found.items() if each is not None and not each.is_float}
