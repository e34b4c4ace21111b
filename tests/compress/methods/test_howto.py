"""The how-to that adds a method is run: its file, its line in the registry, its test."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from seemant.compress.methods import registry
from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.core.errors import BadConfig
from seemant.formats.tensor_format import (
    fit_format,
    format_of,
    pack_format,
    unpack_format,
    value_format,
)

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-method.md"
FILE, LINE, TEST = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
MODULE = "seemant.compress.methods.stochastic"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Method]:
    """The method as the page adds it."""
    module = ModuleType(MODULE)
    exec(compile(FILE, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, MODULE, module)
    method: registry.Method = eval(LINE, dict(vars(registry)))
    monkeypatch.setitem(registry.METHODS, method.name, method)
    yield registry.method_of("stochastic")


def test_the_page_says_the_truth_of_its_size() -> None:
    assert len(FILE.splitlines()) <= 50 and len(LINE.strip().splitlines()) == 1


@pytest.mark.parametrize("kind", ["q4_0", "q5_1", "q8_0", "int3-asym-g64", "q4_k", "q6_k"])
def test_the_page_s_method_works_on_every_kind_of_format(added: registry.Method, kind: str) -> None:
    format = format_of(kind)
    w = np.random.default_rng(0).standard_normal((3, 256)).astype(np.float32)
    codes, params = added.run(Matrix("a", w, format), MethodConfig())
    values = value_format(codes, params)
    if format.container:
        packed = unpack_format(pack_format(codes, params, format), format)
        assert (value_format(*packed) == values).all()
    error = np.abs(values - w).reshape(codes.shape)
    inside = (codes > params.grid.lowest) & (codes < params.grid.highest)
    assert (error <= np.abs(params.scale) * 1.001)[inside].all()
    assert (values != value_format(*added.run(Matrix("b", w, format), MethodConfig()))).any()
    again = added.run(Matrix("a", w, format), MethodConfig())
    assert (again.codes == codes).all()


def test_the_page_s_own_test_passes_and_fails_for_another_method(
    added: registry.Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    space: dict[str, Any] = {}
    exec(compile(TEST, str(PAGE), "exec"), space)
    test: Callable[[], None] = space["test_its_expected_value_is_the_weight"]
    test()
    monkeypatch.setitem(registry.METHODS, "stochastic", registry.METHODS["rtn"])
    with pytest.raises(AssertionError):
        test()


def test_the_page_s_method_refuses_what_has_no_steps(added: registry.Method) -> None:
    w = np.ones((2, 32), np.float32)
    with pytest.raises(BadConfig, match="f16 has no steps"):
        added.run(Matrix("a", w, format_of("f16")), MethodConfig())
    assert fit_format(w, format_of("q4_0")).scale.shape == (2, 1, 1)
