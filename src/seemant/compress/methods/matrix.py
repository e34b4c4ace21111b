"""What a method is given: one matrix, its format, and what calibration says of its input."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadConfig, BadFile

if TYPE_CHECKING:
    from torch import Tensor

    from seemant.formats.tensor_format import Format, Search


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """One matrix, whole or a slice of its rows: methods treat rows independently.

    name: its GGUF name, for error texts.
    weight: (rows, columns) float32, y = weight x. GGUF's row order.
    first_row: of a slice, the tensor's row that its first one is, for error texts.
    base: the weights before an adapter was merged into them, where one was; the same shape.
    search: how a group's grid is found.
    hessian: (columns, columns) float32, the mean over calibration tokens of x xᵀ, languages mixed.
    importance: (columns,) float32, its diagonal: the mean of x² by column.
    notes: what a method has to tell of this matrix (`layer_error`, `damp_used`, ...); it fills it.
    """

    name: str
    weight: NDArray[np.float32]
    format: "Format"
    search: "Search" = "minmax"
    hessian: "Tensor | None" = None
    importance: NDArray[np.float32] | None = None
    notes: dict[str, float] = field(default_factory=dict)
    first_row: int = 0
    base: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        rows, columns = self.weight.shape
        for what, given, wanted in (
            ("hessian", self.hessian, (columns, columns)),
            ("importance", self.importance, (columns,)),
        ):
            if given is not None and tuple(given.shape) != wanted:
                raise ValueError(f"{what} of {tuple(given.shape)} for {rows} x {columns} weights")

    def the_hessian(self) -> "Tensor":
        """Return the Hessian.

        Raises:
            BadConfig: the matrix has none.
        """
        if self.hessian is None:
            raise self._uncalibrated("the second moments of its input")
        return self.hessian

    def the_importance(self) -> NDArray[np.float32]:
        """Return the importance, or else the Hessian's diagonal.

        Raises:
            BadConfig: the matrix has neither.
        """
        if self.importance is not None:
            return self.importance
        if self.hessian is None:
            raise self._uncalibrated("the mean squares of its input")
        diagonal: NDArray[np.float32] = self.hessian.diagonal().float().cpu().numpy().copy()
        return diagonal

    def is_dead(self) -> bool:
        """Return whether every input was 0 at every token: the matrix before gives nothing."""
        return not bool(self.the_hessian().any())

    def check_finite(self) -> None:
        """Check the weights.

        Raises:
            BadFile: one is not finite; names the tensor and the row.
        """
        for start, rows in self.slices():
            if np.isfinite(rows).all():
                continue
            row = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
            raise BadFile(
                f"{rows[row][~np.isfinite(rows[row])][0]} among the weights",
                where=f"tensor {self.name}, row {self.first_row + start + row}",
                fix="the model or the adapter is damaged; make or fetch it again",
            )

    def slices(self, rows: int = 2048) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, the weights of up to `rows` rows), together all."""
        for start in range(0, len(self.weight), rows):
            yield start, self.weight[start : start + rows]

    def _uncalibrated(self, what: str) -> BadConfig:
        return BadConfig(
            f"the method needs {what}, and there are none",
            where=f"tensor {self.name}",
            fix="give calibration text, or use a method that needs the weights alone (rtn)",
        )
