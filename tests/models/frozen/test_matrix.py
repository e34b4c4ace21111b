"""What every kind of frozen matrix promises: rows, gather, products, bytes, moves."""

import copy
import subprocess
import sys

import pytest
import torch

from seemant.models.frozen.build import frozen, n_bytes_of
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch

SHAPES = [(1, 32), (5, 64), (33, 96), (7, 100), (9, 1), (700, 1152)]


def random_weights(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator) * 0.02


def matrix_of(kind: str, shape: tuple[int, int]) -> FrozenMatrix:
    return frozen(kind, shape, [random_weights(*shape)])


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest, kind: str) -> tuple[int, int]:
    rows, columns = request.param
    return rows, -(-columns // 64) * 64 if kind == "nf4" else columns  # whole blocks only


def test_bytes_are_known_without_building(kind: str, shape: tuple[int, int]) -> None:
    assert matrix_of(kind, shape).n_bytes == n_bytes_of(kind, shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_block_of_rows_is_those_rows_of_the_whole(
    kind: str, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    matrix = matrix_of(kind, shape)
    whole = matrix.dequantised(dtype)
    assert whole.shape == shape and whole.dtype == dtype
    for start, stop in [(0, 0), (0, 1), (shape[0] // 3, shape[0]), (shape[0] // 2, shape[0])]:
        assert torch.equal(matrix.rows(start, stop, dtype), whole[start:stop])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gathered_rows_are_those_rows(
    kind: str, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    matrix = matrix_of(kind, shape)
    ids = torch.cat([torch.arange(shape[0]).flip(0), torch.tensor([0, 0])])
    gathered = matrix.gather(ids, dtype)
    assert torch.equal(gathered, matrix.dequantised(dtype)[ids])
    gathered.zero_()  # fresh: the matrix does not change with it
    assert matrix.dequantised(dtype).abs().sum() > 0


def test_rows_are_written_into_the_callers_scratch(kind: str) -> None:
    matrix = matrix_of(kind, (6, 64))
    out = torch.full((4, 64), float("nan"), dtype=torch.bfloat16)
    got = matrix.rows(1, 5, torch.bfloat16, out)
    assert torch.equal(got, matrix.rows(1, 5, torch.bfloat16))
    if kind == "bfloat16":  # its own storage, no copy
        assert out.isnan().all()
        assert got.untyped_storage().data_ptr() == next(matrix.buffers()).data_ptr()
    else:
        assert got.data_ptr() == out.data_ptr()


def test_bfloat16_rows_are_the_float32_rows_rounded(kind: str) -> None:
    matrix = matrix_of(kind, (300, 192))
    fine, coarse = matrix.dequantised(torch.float32), matrix.dequantised(torch.bfloat16)
    # Two roundings at most: of the codes (int4's products) and of the scaled weight.
    assert ((coarse.float() - fine).abs() <= fine.abs() * 2**-7).all()


def test_products_are_those_of_the_dequantised_matrix(kind: str, shape: tuple[int, int]) -> None:
    matrix, scratch = matrix_of(kind, shape), Scratch()
    weight = matrix.dequantised(torch.float64)
    x, g = random_weights(11, shape[1], 1).double(), random_weights(11, shape[0], 2).double()
    for dtype, limit in ((torch.float64, 1e-14), (torch.float32, 2e-6), (torch.bfloat16, 1e-2)):
        y = matrix.times(x.to(dtype), scratch)
        gx = matrix.times_transposed(g.to(dtype), scratch)
        assert y.dtype == gx.dtype == dtype
        for got, expected in (
            (y, x.to(dtype).double() @ weight.T),
            (gx, g.to(dtype).double() @ weight),
        ):
            assert (got.double() - expected).norm() <= limit * expected.norm()


def test_the_column_mean_is_the_mean_of_the_dequantised_rows(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seemant.models.frozen.matrix._MEAN_BLOCK", 1000)  # 15 rows of 64
    matrix = matrix_of(kind, (37, 64))
    mean = matrix.column_mean()
    assert mean.dtype == torch.float32 and mean.shape == (64,)
    expected = matrix.dequantised(torch.float64).mean(0)
    torch.testing.assert_close(mean.double(), expected, rtol=1e-6, atol=1e-9)


def test_casting_a_model_leaves_codes_and_scales_alone(kind: str) -> None:
    matrix = matrix_of(kind, (5, 64))
    before = {name: each.clone() for name, each in matrix.named_buffers()}
    matrix.bfloat16().double().to(torch.float16)
    for name, each in matrix.named_buffers():
        assert each.dtype == before[name].dtype and torch.equal(each, before[name])


def test_a_matrix_moves_with_its_model(kind: str) -> None:
    model = torch.nn.Sequential(matrix_of(kind, (5, 64)))
    model.to("meta")
    assert all(each.device.type == "meta" for each in model.buffers())
    assert model[0].device.type == "meta"


def test_codes_that_became_parameters_are_counted_moved_and_not_cast(kind: str) -> None:
    matrix = matrix_of(kind, (5, 64))
    expected, n_bytes = matrix.dequantised(torch.float32).clone(), matrix.n_bytes
    for name, held in list(matrix.named_buffers()):  # as sharding over ranks does
        del matrix._buffers[name]
        matrix.register_parameter(name, torch.nn.Parameter(held, requires_grad=False))
        assert held.ndim > 0  # cut along the first axis
    matrix.bfloat16()
    assert torch.equal(matrix.dequantised(torch.float32), expected)
    assert matrix.n_bytes == n_bytes
    assert matrix.to("meta").device.type == "meta"
    assert not any(each.requires_grad for each in matrix.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_matrix_gives_the_same_weights_on_the_gpu(kind: str) -> None:
    matrix = matrix_of(kind, (700, 1152))
    here = matrix.dequantised(torch.float32).clone()
    ids = torch.tensor([3, 699, 3])
    there = matrix.to("cuda")
    torch.testing.assert_close(there.dequantised(torch.float32).cpu(), here, rtol=1e-6, atol=0)
    torch.testing.assert_close(there.gather(ids.cuda(), torch.float32).cpu(), here[ids])


def test_nothing_is_trained_and_nothing_enters_a_state_dict(kind: str) -> None:
    matrix = matrix_of(kind, (5, 64))
    assert list(matrix.parameters()) == []
    assert matrix.state_dict() == {}


def test_repr_names_kind_and_shape(kind: str) -> None:
    assert f"{kind}, 5 x 64" in repr(matrix_of(kind, (5, 64)))


def test_a_matrix_can_be_copied(kind: str) -> None:
    matrix = matrix_of(kind, (5, 64))
    again = copy.deepcopy(matrix)
    assert torch.equal(again.dequantised(torch.float32), matrix.dequantised(torch.float32))


def test_sizes_and_kinds_are_known_without_torch() -> None:
    code = "import sys, seemant.models.frozen.size; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
