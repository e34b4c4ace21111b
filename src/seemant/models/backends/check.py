"""Proof, before first use, that llama.cpp reads, tokenises and computes as it should."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from seemant.core.errors import BadFile
from seemant.models.backends.llama_c import REINSTALL, NoLlamaCpp
from seemant.models.backends.llamacpp import LlamaCpp
from seemant.models.backends.tiny import write_tiny

TEXT = "the abc नमस्ते"
TOKENS = (262, 260, 32, 256, 99, 32, *"नमस्ते".encode())
NATS = -145.2913
"""log p of the text's tokens after the first under the tiny model, as torch computes it."""
TOLERANCE_NATS = 0.01  # over 23 tokens; llama.cpp keeps its cache in half precision


@cache
def check_llamacpp() -> None:
    """Run a tiny model of known weights once a process (about 0.03 s).

    Raises:
        NoLlamaCpp: llama.cpp cannot be opened, or its result is not the known one.
    """
    with TemporaryDirectory(prefix="seemant-") as folder:
        path = Path(folder) / "tiny.gguf"
        write_tiny(path)
        try:
            with LlamaCpp(path, context=64) as model:
                tokens = tuple(model.encode(TEXT))
                nats = nats_of(model, tokens)
        except BadFile as error:
            raise NoLlamaCpp(
                f"llama.cpp fails on a known model: {error.what}", fix=REINSTALL
            ) from error
    if tokens != TOKENS or not abs(nats - NATS) < TOLERANCE_NATS:
        raise NoLlamaCpp(
            f"llama.cpp gives {nats:.3f} nats where {NATS} are known (tokens {tokens})",
            fix=REINSTALL,
        )


def nats_of(model: LlamaCpp, tokens: tuple[int, ...]) -> float:
    """Return the log-likelihood of a text's tokens after its first."""
    rows = [row for block in model.logprobs(tokens, 1) for row in block]
    return sum(float(row[token]) for row, token in zip(rows, tokens[1:], strict=True))
