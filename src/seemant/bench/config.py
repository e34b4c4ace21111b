"""The settings of a measurement of speed."""

from typing import Annotated

from pydantic import Field

from seemant.core.config import HOW, Config


class BenchConfig(Config):
    """Models are measured in turn (A B C A B C ...), each run in a fresh process."""

    repeats: int = Field(default=3, ge=1)
    """Runs of each model; with fewer than two there is no spread."""
    prefill_tokens: int = Field(default=128, ge=2)
    """Tokens of the prompt that is read."""
    decode_tokens: int = Field(default=32, ge=1)
    """Tokens that are then written, one at a time."""
    threads: int = Field(default=1, ge=1)
    """Threads that compute; no more than there are idle cores."""
    context: int = Field(default=512, ge=32)
    """Room for prompt and answer; its cache counts in the memory."""
    timeout_s: Annotated[float, HOW] = Field(default=300.0, gt=0)
    """Longest time for one run."""
