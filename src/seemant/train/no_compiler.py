"""Keeping torch's compiler out of a process that compiles nothing: 75 to 80 MB less.

`Optimizer.step`, `add_param_group` and `torch.utils.checkpoint` import `torch._dynamo` (and with
it sympy and the code generators) only to tell it to leave them alone, and
`use_deterministic_algorithms` imports `torch._inductor` to tell it, too. Stand-ins that have
nothing to leave alone do the same. They must come before the first of those calls, and only where
nothing else needs the compiler: bitsandbytes and transformers do.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

_DYNAMO, _INDUCTOR = "torch._dynamo", "torch._inductor"


def leave_compiler_out() -> bool:
    """Put the stand-ins in the compiler's place; False where the compiler is loaded already."""
    import torch

    if {_DYNAMO, _INDUCTOR} & set(sys.modules):
        return False
    dynamo, inductor, config = (
        _stand_in(name) for name in (_DYNAMO, _INDUCTOR, f"{_INDUCTOR}.config")
    )
    dynamo.disable = _disable
    dynamo.graph_break = lambda msg="": None
    dynamo.config = SimpleNamespace(
        error_on_nested_fx_trace=True, patch=lambda *args, **changes: nullcontext()
    )
    inductor.config = config
    torch._dynamo, torch._inductor = dynamo, inductor
    return True


def needs_compiler(base: str, optimiser: str) -> bool:
    """Return whether libraries that load the compiler themselves take part."""
    return base == "nf4" or optimiser != "adamw"


def _stand_in(name: str) -> Any:
    module = ModuleType(name, "A stand-in: this process compiles nothing.")
    sys.modules[name] = module
    return module


def _disable(
    fn: Callable[..., Any] | None = None, recursive: bool = True, **named: Any
) -> Callable[..., Any]:
    return fn if fn is not None else _disable
