"""All methods by name. A new one is a file with `run(matrix, config)` and a line here.

Files are imported when a method is first run, so that names can be listed without torch.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Literal, NamedTuple

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.core.errors import BadConfig, BadFile, nearest

Needs = Literal["weights", "diagonal", "hessian"]
Run = Callable[[Matrix, MethodConfig], Quantised]


class Method(NamedTuple):
    """A way to choose a matrix's integers.

    needs: what of the input's second moments it asks for: nothing, their diagonal, or all.
    paper: where it comes from, an arXiv number or a project.
    """

    name: str
    needs: Needs
    run: Run
    paper: str


def method_of(name: str) -> Method:
    """Return a method by its name.

    Raises:
        BadConfig: there is none; names the nearest.
    """
    if name not in METHODS:
        raise BadConfig(f"no method {name!r}", where="method", fix=nearest(name, METHODS))
    return METHODS[name]


def _method(name: str, needs: Needs, module: str, paper: str) -> Method:
    def run(matrix: Matrix, config: MethodConfig) -> Quantised:
        found: Run = import_module(module).run
        try:
            return found(matrix, config)
        except BadFile as error:  # a fit knows numbers, not whose they are
            error.where = error.where or f"tensor {matrix.name}"
            raise

    return Method(name, needs, run, paper)


_HERE = "seemant.compress.methods"

METHODS: dict[str, Method] = {
    each.name: each
    for each in (
        _method("rtn", "weights", f"{_HERE}.rtn", ""),
        _method("imatrix", "diagonal", f"{_HERE}.imatrix", "llama.cpp imatrix"),
        _method("gptq", "hessian", f"{_HERE}.gptq", "2210.17323"),
        _method("magnitude", "weights", f"{_HERE}.magnitude", "1506.02626"),
        _method("wanda", "diagonal", f"{_HERE}.wanda", "2306.11695"),
        _method("sparsegpt", "hessian", f"{_HERE}.sparsegpt", "2301.00774"),
    )
}
