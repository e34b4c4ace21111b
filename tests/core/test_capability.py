"""What a CPU can do is what it did when it was tried, and it is tried once."""

from pathlib import Path
from typing import Any

import pytest

from seemant.core import capability as module
from seemant.core.capability import Capability, capability
from seemant.core.machine_cache import remember


def said(**low: float) -> dict[str, Any]:
    """A trial's answer in which a product of each type took this many seconds at least."""
    return {
        "products": {k: {"s": 1.1 * v, "low": v, "high": 2 * v} for k, v in low.items()},
        "refused": {} if "bfloat16" in low else {"bfloat16": "no such instruction"},
        "exact_bfloat16": "bfloat16" in low,
        "cuda": False,
    }


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("low", "gains"),
    [
        ({"float32": 0.018, "bfloat16": 0.009}, True),
        ({"float32": 0.034, "bfloat16": 0.147}, False),
        ({"float32": 0.034}, False),
    ],
    ids=["faster", "slower", "refused"],
)
def test_a_type_is_a_gain_only_where_it_runs_and_is_faster(
    low: dict[str, float], gains: bool
) -> None:
    assert Capability.of(said(**low)).gains_by("bfloat16") is gains


def test_it_is_tried_once_again_when_asked_and_where_what_was_kept_is_of_another_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def ask(name: str) -> dict[str, Any]:
        asked.append(name)
        return said(float32=0.02, bfloat16=0.01)

    monkeypatch.setattr(module, "ask_child", ask)
    assert capability() == capability() and len(asked) == 1
    capability(again=True)
    assert len(asked) == 2
    remember("capability", {"products": {"float32": 3.0}})
    assert capability().gains_by("bfloat16") and len(asked) == 3


def test_this_cpu_is_tried_in_every_type_and_the_median_lies_in_its_spread() -> None:
    found = capability()
    assert found.products.keys() | found.refused.keys() == {"float32", "bfloat16", "int8"}
    assert {"float32", "int8"} <= found.products.keys()
    for each in found.products.values():
        assert 0 < each.low <= each.s <= each.high


def test_held_to_avx2_onednn_has_no_bfloat16_and_float32_is_the_gain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    found = capability()
    assert not found.exact_bfloat16 and not found.gains_by("bfloat16")
