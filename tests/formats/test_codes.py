"""Codes that no runtime can hold come back as the values that were chosen."""

from pathlib import Path

import numpy as np
import pytest

from seemant.core.errors import BadFile
from seemant.formats.codes import iterate_codes, load_codes, save_codes
from seemant.formats.grids import Grid, fit, grouped, snap, value
from seemant.formats.packing import pack, unpack_values

W = np.random.default_rng(9).standard_normal((8, 96)).astype(np.float32)


@pytest.mark.parametrize("group", [32, 96, None])
def test_values_come_back_bit_for_bit(tmp_path: Path, group: int | None) -> None:
    groups = grouped(W, group)
    params = fit(groups, Grid(8, group, False))
    codes = snap(groups, params)
    eight = grouped(W, 32)
    eight_params = fit(eight, Grid(8, 32, True))
    raw = pack(snap(eight, eight_params), eight_params, "Q8_0")
    path = tmp_path / "codes.safetensors"
    save_codes(path, {"blk.0.w": (codes, params)}, {"token_embd.weight": ("Q8_0", raw)})
    back = load_codes(path)
    np.testing.assert_array_equal(back["blk.0.w"], value(codes, params).reshape(W.shape))
    np.testing.assert_array_equal(back["token_embd.weight"], unpack_values(raw, "Q8_0"))
    integers, _ = dict(iterate_codes(path))["blk.0.w"]
    np.testing.assert_array_equal(integers, codes)


def test_other_files_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"x": W}, tmp_path / "other.safetensors")
    with pytest.raises(BadFile, match="not a seemant-codes-1 file"):
        load_codes(tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x10")
    with pytest.raises(BadFile, match="damaged"):
        load_codes(tmp_path / "torn.safetensors")
    with pytest.raises(BadFile, match="no such file"):
        load_codes(tmp_path / "none.safetensors")
