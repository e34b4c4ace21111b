"""What a training process holds before any model: interpreter, libraries, one dummy step.

    python -m seemant.train.memory.floor LIBRARIES       # one JSON object on standard output

Measured once a machine and library version, in a process of its own; a plan's first term. It
differs with the libraries that a run needs: bitsandbytes and transformers bring torch's compiler.
"""

import json
import os
import sys
from typing import Any, Literal

from seemant.core.child import ask_child
from seemant.core.machine_cache import recall, remember
from seemant.core.memory import anonymous_bytes, peak_bytes

Libraries = Literal["torch", "bitsandbytes", "transformers"]


def libraries_of(base: str, optimiser: str) -> Libraries:
    """Return what a run loads besides torch."""
    if base == "nf4" or optimiser in ("adamw8bit", "lion"):
        return "bitsandbytes"
    return "transformers" if optimiser == "adafactor" else "torch"


def runtime_floor(libraries: Libraries = "torch", *, again: bool = False) -> int:
    """Return the bytes; measured now where this machine has none yet, or `again`.

    Raises:
        WorldError: the libraries are not installed, or the measurement failed.
    """
    name = f"runtime_bytes_{libraries}"
    known = None if again else recall(name)
    if known is None:
        known = int(ask_child("seemant.train.memory.floor", libraries)["peak_rss"])
        remember(name, known)
    return int(known)


def measure(libraries: Libraries) -> dict[str, Any]:
    """Return the peak after importing what the worker imports and making one small step."""
    import torch

    if libraries == "torch":
        from seemant.train.no_compiler import leave_compiler_out

        leave_compiler_out()
    elif libraries == "bitsandbytes":
        import bitsandbytes.optim  # noqa: F401
    else:
        import transformers.optimization  # noqa: F401

    torch.set_num_threads(1)
    _dummy_step()
    return {"peak_rss": peak_bytes(), "anonymous": anonymous_bytes()}


def _dummy_step() -> None:
    """One step of a decoder of two small layers, by the code that trains real ones."""
    import torch

    import seemant.train.fit
    import seemant.train.session  # noqa: F401
    from seemant.models.decoder.load import frozen_decoder
    from seemant.models.decoder.shape import shape_of_config
    from seemant.models.decoder.weights import random_weights
    from seemant.train.adapt import adapt, trainable
    from seemant.train.loss.head import streamed_cross_entropy
    from seemant.train.optim import make_optimiser

    shape = shape_of_config(_SHAPE)
    decoder = frozen_decoder(random_weights(shape, 0), "int8", "int8", "bfloat16")
    decoder.checkpointing = True
    parameters = trainable(adapt(decoder, "lora", 4, 8.0, 0))
    optimiser = make_optimiser("adamw", parameters.values(), lr=1e-3, weight_decay=0.0)
    ids = torch.arange(32)
    h = decoder(ids, [32])
    loss = streamed_cross_entropy(h, ids, decoder.head_weight, block=64).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


_SHAPE = {
    "model_type": "gemma3_text",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "vocab_size": 128,
    "sliding_window": 16,
}

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.stdout.write(json.dumps(measure(sys.argv[1])) + "\n")  # type: ignore[arg-type]
