"""NF4 is bitsandbytes' own: the same numbers and bytes, streamed; clear without the package."""

import sys

import pytest
import torch

from seemant.core.errors import BadConfig
from seemant.models.frozen import nf4
from seemant.models.frozen.build import frozen
from seemant.models.frozen.nf4 import Nf4Matrix
from seemant.models.frozen.size import n_bytes_of


@pytest.fixture
def bnb():  # type: ignore[no-untyped-def]
    pytest.importorskip("bitsandbytes", reason="NF4 needs bitsandbytes (extra nf4)")
    import bitsandbytes.functional

    return bitsandbytes.functional


@pytest.mark.parametrize("shape", [(256, 64), (300, 192), (37, 640)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_streamed_weights_are_those_of_bitsandbytes_in_one_go(  # type: ignore[no-untyped-def]
    bnb, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    w = torch.randn(shape)
    ours = frozen("nf4", shape, w.split(100)).dequantised(dtype)
    codes, state = bnb.quantize_4bit(w, blocksize=64, compress_statistics=True, quant_type="nf4")
    state.dtype = dtype
    theirs = bnb.dequantize_4bit(codes, state)
    assert torch.equal(ours, theirs)


def test_bytes_are_those_of_bitsandbytes_and_its_shared_table(bnb) -> None:  # type: ignore[no-untyped-def]
    w = torch.randn(300, 192)
    codes, state = bnb.quantize_4bit(w, blocksize=64, compress_statistics=True, quant_type="nf4")
    held = codes.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes + state.offset.nbytes
    assert n_bytes_of("nf4", (300, 192)) == held + state.state2.code.nbytes


def test_dequantised_weights_equal_a_plain_loop(bnb) -> None:  # type: ignore[no-untyped-def]
    matrix = Nf4Matrix((5, 128), [torch.randn(5, 128)])
    levels = bnb.get_4bit_type("nf4", device="cpu").tolist()
    got = matrix.dequantised(torch.float32)
    for i in range(5):
        for j in range(128):
            byte = int(matrix.codes[i, j // 2])
            code = byte & 15 if j % 2 else byte >> 4  # bitsandbytes: the high nibble comes first
            block = (i * 128 + j) // 64
            scale = matrix.table[int(matrix.maxima.flatten()[block])] * matrix.nested[block // 256]
            expected = levels[code] * float(scale + matrix.offset)
            assert float(got[i, j]) == pytest.approx(expected, rel=1e-6)


def test_the_error_on_gaussian_weights_is_that_of_the_paper(bnb) -> None:  # type: ignore[no-untyped-def]
    w = torch.randn(200, 640, generator=torch.Generator().manual_seed(2))
    error = frozen("nf4", (200, 640), [w]).dequantised(torch.float32) - w
    assert 0.08 < float(error.norm() / w.norm()) < 0.1


def test_blocks_that_cross_rows_are_refused() -> None:
    with pytest.raises(BadConfig, match="100 columns") as refused:
        n_bytes_of("nf4", (4, 100))
    assert "int4" in str(refused.value)
    with pytest.raises(BadConfig, match="100 columns"):
        frozen("nf4", (4, 100), [torch.randn(4, 100)])


def test_without_bitsandbytes_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    nf4._functional.cache_clear()
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    with pytest.raises(BadConfig, match="bitsandbytes, which is not installed") as refused:
        frozen("nf4", (4, 64), [torch.randn(4, 64)])
    assert "seemant[nf4]" in str(refused.value)
    assert n_bytes_of("nf4", (4, 64)) == 4 * 33 + 4 * (1 + 1 + 256)
