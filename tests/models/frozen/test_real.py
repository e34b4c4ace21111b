"""Real matrices of Gemma 3 270M: how far each kind is from the weights, and that order holds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seemant.formats.gguf_read import open_gguf
from seemant.models.frozen.build import frozen

# Relative error of a matrix (Frobenius), least and most over those named below, as measured.
BOUNDS = {"bfloat16": (0, 0.003), "int8": (0.004, 0.02), "int4": (0.07, 0.11)}
NAMES = ("attn_q", "attn_v", "attn_output", "ffn_gate", "ffn_down")


@pytest.mark.real
@pytest.mark.parametrize("kind", BOUNDS)
def test_real_weights_survive_within_the_known_error(gemma_gguf: Path, kind: str) -> None:
    file = open_gguf(gemma_gguf)
    for name in (f"blk.7.{each}.weight" for each in NAMES):
        w = torch.from_numpy(np.array(file.dequantize(name)))
        rows, columns = w.shape
        matrix = frozen(kind, (rows, columns), w.split(100), name=name)
        error = float((matrix.dequantised(torch.float32) - w).norm() / w.norm())
        least, most = BOUNDS[kind]
        assert least <= error <= most, f"{name}: {error}"
