"""A process without torch's compiler trains all the same; one that needs it keeps it."""

import subprocess
import sys

import pytest

from seemant.train.no_compiler import needs_compiler

STEP = """
import sys
import torch
from seemant.train.no_compiler import leave_compiler_out
if sys.argv[1] == "without":
    assert leave_compiler_out()
else:
    torch._dynamo.disable
    assert not leave_compiler_out()  # it is loaded: too late
from torch.utils.checkpoint import checkpoint
from seemant.train.determinism import deterministic
with deterministic(0, 1):
    w = torch.nn.Parameter(torch.randn(4, 4))
    optimiser = torch.optim.AdamW([w], lr=0.1)
    for _ in range(2):
        x = checkpoint(lambda given: (given @ w).tanh(), torch.ones(2, 4), use_reentrant=False)
        x.square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
print(w.detach().numpy().tobytes().hex(), "torch._dynamo.eval_frame" in sys.modules,
      "sympy" in sys.modules)
"""


def test_a_step_without_the_compiler_gives_the_same_bits_and_loads_none_of_it() -> None:
    found = {}
    for how in ("without", "with"):
        done = subprocess.run(
            [sys.executable, "-c", STEP, how], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found[how] = done.stdout.split()
    assert found["without"][0] == found["with"][0]
    assert found["without"][1:] == ["False", "False"]
    assert found["with"][1] == "True"


@pytest.mark.parametrize(
    ("base", "optimiser", "needs"),
    [("float", "adamw", False), ("int4", "adamw", False), ("nf4", "adamw", True),
     ("float", "adamw8bit", True), ("float", "lion", True), ("float", "adafactor", True)],
)  # fmt: skip
def test_other_libraries_bring_the_compiler_themselves(
    base: str, optimiser: str, needs: bool
) -> None:
    assert needs_compiler(base, optimiser) == needs
