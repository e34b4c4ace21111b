"""Every kind of frozen matrix, and numbers that are the same in every run."""

import pytest
import torch

from seemant.models.frozen.size import KINDS


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "nf4":
        pytest.importorskip("bitsandbytes", reason="NF4 needs bitsandbytes (extra nf4)")
    return str(request.param)
