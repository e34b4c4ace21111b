"""The two errors of one site's scale: its readers' own, and that of the block around them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from seemant.compress.awq.config import AwqConfig
from seemant.compress.awq.errors import layer_error, rounded
from seemant.compress.awq.fold import channels_of, columns_of, folded
from seemant.compress.awq.moments import SiteMoments
from seemant.compress.awq.scales import Choice, best_scale
from seemant.compress.awq.sites import Part, Site
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.tensor_format import Format
from seemant.models.decoder.shape import DecoderShape

Forward = Callable[[Part, Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class SiteSearch:
    """One site of one block. weights: the block's, with the sites before it folded.

    formats: of the readers that will be rounded, by full name.
    """

    layer: int
    site: Site
    weights: Mapping[str, Tensor]
    moments: SiteMoments
    formats: Mapping[str, Format]
    shape: DecoderShape
    config: AwqConfig

    def choice(self, forward: Forward, target: Tensor | None) -> Choice:
        """Return the best scale. target: the measured part's output as it should be, if any.

        Raises:
            BadConfig: a format that does not fit the rows.
            BadFile: weights or activations that are not finite. Both name the site.
        """

        def verify(scale: Tensor) -> float:
            if target is None:
                return self.linear_error(scale)
            return self.part_error(scale, forward, target)

        magnitude = channels_of(self.moments.magnitude, self.site, self.shape)
        try:
            return best_scale(
                magnitude,
                lambda scale: self.linear_error(scale, self.config.screen_rows),
                verify,
                alphas=self.config.alphas,
                keep=self.config.verify,
            )
        except (BadConfig, BadFile) as error:
            error.where = error.where or f"blk.{self.layer}, AWQ's site {self.site.name}"
            raise

    def linear_error(self, scale: Tensor, n_rows: int | None = None) -> float:
        """Return Σ tr(dW H dWᵀ) over the readers, dW = Q(W · s) / s − W.

        n_rows: of about so many rows of each matrix, counted up to all of them.
        """
        columns = columns_of(scale, self.site, self.shape)
        total = 0.0
        for name, format in self.formats.items():
            w = self.weights[name]
            rows = w[:: 1 if n_rows is None else -(-len(w) // n_rows)]
            dw = self._rounded(rows * columns, format, columns) / columns - rows
            total += layer_error(dw, self.moments.hessian) * len(w) / len(rows)
        return total

    def part_error(self, scale: Tensor, forward: Forward, target: Tensor) -> float:
        """Return the mean over the sample's tokens of ‖B(x) − target‖², only this site rounded."""
        assert self.site.measured is not None
        tried = folded(self.weights, self.layer, self.site, scale, self.shape)
        columns = columns_of(scale, self.site, self.shape)
        for name, format in self.formats.items():
            tried[name] = self._rounded(tried[name], format, columns)
        difference = forward(self.site.measured, tried) - target
        return float(difference.square().sum(1).double().mean())

    def _rounded(self, w: Tensor, format: Format, columns: Tensor) -> Tensor:
        importance = self.moments.hessian.diagonal() / columns.square()
        weight = importance if self.config.weighed else None
        return rounded(w, format, search=self.config.search, importance=weight)
