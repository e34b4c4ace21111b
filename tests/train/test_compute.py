"""bfloat16 is computed in where it is a gain; elsewhere float32 is, and one line says so."""

import pytest

from seemant.core.capability import Capability, Spread
from seemant.core.errors import WorldError
from seemant.train import compute as module
from seemant.train.compute import compute_here


def cpu(bfloat16: float | None, cuda: bool = False) -> Capability:
    """A CPU whose float32 product takes 10 ms."""
    products = {"float32": Spread(0.01, 0.01, 0.01)}
    if bfloat16 is not None:
        products["bfloat16"] = Spread(bfloat16, bfloat16, bfloat16)
    refused = {} if bfloat16 is not None else {"bfloat16": "needs avx512bw"}
    return Capability(products, refused, bfloat16 is not None, cuda)


@pytest.mark.parametrize(
    ("can", "gpu", "used", "told"),
    [
        (cpu(0.004), False, "bfloat16", ""),
        (cpu(0.041), False, "float32", "takes 4.1 times as long"),
        (cpu(None), False, "float32", "needs avx512bw"),
        (cpu(0.041, cuda=True), True, "bfloat16", ""),
        (cpu(0.041, cuda=True), False, "float32", "4.1 times"),
    ],
    ids=["faster", "slower", "refused", "slow beside a GPU", "on the CPU beside a GPU"],
)
def test_the_type_is_what_the_machine_gains_by(
    can: Capability, gpu: bool, used: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "capability", lambda: can)
    lines: list[str] = []
    assert compute_here("bfloat16", gpu=gpu, say=lines.append) == used
    assert len(lines) == bool(told) and told in "".join(lines)
    lines.clear()
    assert compute_here("float32", gpu=gpu, say=lines.append) == "float32" and not lines


def test_where_it_cannot_be_tried_it_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Capability:
        raise WorldError("illegal instruction")

    monkeypatch.setattr(module, "capability", fails)
    lines: list[str] = []
    assert compute_here("bfloat16", say=lines.append) == "float32"
    assert "illegal instruction" in lines[0]
