"""How much of an adapter a file applies: said of every file into which one was merged."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from seemant.compress.adapter_gain import in_words
from seemant.core.stage import Done
from seemant.formats.gguf_read import open_gguf

Make, Run = Callable[..., Path], Callable[..., Done]
BLOCK = "blk.0.ffn_down.weight"


def shrunk(folder: Path, factor: float) -> None:
    """Make an adapter's change smaller: far below a step of a 4-bit grid, as trained ones are."""
    path = folder / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({k: v * (factor if "lora_B" in k else 1) for k, v in tensors.items()}, path)


def told(done: Done) -> dict[str, object]:
    found: dict[str, object] = json.loads((done.path / "variant.json").read_text())
    return found


def test_the_gain_is_that_of_the_written_file(
    tiny_model: Make, tiny_adapter: tuple[Path, np.ndarray], compress: Run
) -> None:
    folder, delta = tiny_adapter
    base = open_gguf(tiny_model(stored="Q4_0"))
    done = compress(base.path, adapter=folder, bits=8)
    values = open_gguf(done.path / "model.gguf").dequantize(BLOCK)
    expected = float(((values - base.dequantize(BLOCK)) * delta).sum() / (delta**2).sum())
    gain = told(done)["adapter_gain"]
    assert gain == pytest.approx({"all": expected, "Q4_0": expected}, abs=1e-5)
    assert expected == pytest.approx(1, abs=0.01)


def test_met_again_the_bases_own_grid_rounds_an_adapter_away_and_it_is_said(
    tiny_model: Make, tiny_adapter: tuple[Path, np.ndarray], compress: Run
) -> None:
    folder, _ = tiny_adapter
    shrunk(folder, 1e-4)
    done = compress(tiny_model(stored="Q4_0"), adapter=folder, bits=4)
    gain = told(done)["adapter_gain"]
    assert isinstance(gain, dict) and abs(gain["all"]) < 0.2
    assert "beside" in (in_words(told(done)) or "")


def test_on_a_nested_grid_an_adapter_is_applied_about_once(
    tiny_model: Make, tiny_adapter: tuple[Path, np.ndarray], compress: Run
) -> None:
    folder, _ = tiny_adapter
    shrunk(folder, 0.003)  # 64 x 96 weights: enough for a gain within 1 of 1
    done = compress(tiny_model(stored="Q5_0"), adapter=folder, bits=4)
    gain = told(done)["adapter_gain"]
    assert isinstance(gain, dict) and 0 < gain["all"] < 2.5


def test_on_a_nested_grid_rounding_to_nearest_is_told_of_gptq() -> None:
    nested = {"adapter_gain": {"all": 1.0}, "nested_in_reference_grid": True, "method": "rtn"}
    assert "gptq" in (in_words(nested) or "")
    for other in ({"method": "gptq"}, {"nested_in_reference_grid": False}):
        assert "gptq" not in (in_words(nested | other) or "")


def test_nothing_is_said_without_an_adapter(tiny_model: Make, compress: Run) -> None:
    done = compress(tiny_model(), bits=4)
    assert "adapter_gain" not in told(done)
    assert in_words(told(done)) is None
