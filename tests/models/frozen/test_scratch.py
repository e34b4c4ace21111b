"""One buffer for all weights of the moment."""

import pytest
import torch

from seemant.models.frozen.scratch import Scratch


def test_the_buffer_grows_to_the_largest_and_stays_there() -> None:
    scratch = Scratch()
    assert scratch.n_bytes == 0
    scratch.take(3, 5, torch.float32)
    assert scratch.n_bytes == 60
    first = scratch.take(2, 2, torch.bfloat16)
    assert scratch.n_bytes == 60
    assert first.shape == (2, 2) and first.dtype == torch.bfloat16 and first.is_contiguous()


def test_views_of_one_scratch_are_the_same_memory() -> None:
    scratch = Scratch()
    a, b = scratch.take(4, 4, torch.float32), scratch.take(2, 8, torch.float32)
    assert a.data_ptr() == b.data_ptr()


def test_nothing_is_allocated_after_a_reserve() -> None:
    scratch = Scratch()
    scratch.reserve(1000)
    at = scratch.take(1, 1, torch.float32).data_ptr()
    assert scratch.take(10, 50, torch.bfloat16).data_ptr() == at
    assert scratch.n_bytes == 1000


def test_the_buffer_follows_the_device() -> None:
    scratch = Scratch()
    scratch.take(4, 4, torch.float32)
    assert scratch.take(2, 2, torch.float32, "meta").device.type == "meta"
    assert scratch.take(2, 2, torch.float32).device.type == "cpu"


CPU = torch.device("cpu")


def counted(value: float, calls: list[float]):  # type: ignore[no-untyped-def]
    def fill(out: torch.Tensor) -> None:
        calls.append(value)
        out.fill_(value)

    return fill


def test_weights_in_the_ring_are_not_filled_again() -> None:
    scratch, calls = Scratch(keep_bytes=256), []
    for value in (1.0, 2.0, 1.0, 2.0, 1.0):
        view = scratch.kept(f"w{value}", (4, 8), torch.float32, CPU, counted(value, calls))
        assert view.shape == (4, 8) and view.eq(value).all()
    assert calls == [1.0, 2.0]
    assert scratch.n_bytes == 256


def test_the_oldest_weights_leave_the_ring_first() -> None:
    scratch, calls = Scratch(keep_bytes=256), []
    for value in (1.0, 2.0, 3.0, 2.0, 3.0, 1.0, 3.0):  # room for two: 3 puts out 1, 1 puts out 2
        view = scratch.kept(value, (4, 8), torch.float32, CPU, counted(value, calls))
        assert view.eq(value).all()
    assert calls == [1.0, 2.0, 3.0, 1.0]


def test_a_ring_of_mixed_sizes_never_hands_out_foreign_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    scratch, calls = Scratch(keep_bytes=1000), []
    for index in torch.randint(0, 12, (400,), generator=generator).tolist():
        shape = (index + 1, 7)
        view = scratch.kept(index, shape, torch.float32, CPU, counted(float(index), calls))
        assert view.shape == shape and view.eq(float(index)).all()
    assert 12 < len(calls) < 400  # some were kept, some were put out
    assert scratch.n_bytes == 1000


def test_weights_of_another_type_are_other_weights() -> None:
    scratch, calls = Scratch(keep_bytes=1000), []
    for dtype in (torch.float32, torch.bfloat16, torch.float32):
        assert scratch.kept("w", (4, 8), dtype, CPU, counted(1.5, calls)).dtype == dtype
    assert len(calls) == 2


def test_what_does_not_fit_the_ring_is_filled_every_time() -> None:
    scratch, calls = Scratch(keep_bytes=100), []
    for _ in range(2):
        scratch.kept("w", (4, 8), torch.float32, CPU, counted(1.0, calls))
    assert calls == [1.0, 1.0]
    assert scratch.n_bytes == 128  # no ring was made


def test_an_interrupted_fill_is_not_taken_for_done() -> None:
    scratch, calls = Scratch(keep_bytes=1000), []

    def broken(out: torch.Tensor) -> None:
        out[0].fill_(9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scratch.kept("w", (4, 8), torch.float32, CPU, broken)
    assert scratch.kept("w", (4, 8), torch.float32, CPU, counted(1.0, calls)).eq(1).all()


def test_a_take_leaves_the_ring_alone() -> None:
    scratch, calls = Scratch(keep_bytes=128), []
    scratch.kept("w", (4, 8), torch.float32, CPU, counted(1.0, calls))
    scratch.take(4, 8, torch.float32).fill_(7)
    assert scratch.kept("w", (4, 8), torch.float32, CPU, counted(2.0, calls)).eq(1).all()


def test_the_ring_can_be_sized_and_dropped_later() -> None:
    scratch, calls = Scratch(), []
    for keep_bytes, fills in ((0, 2), (128, 3), (0, 5)):
        scratch.keep(keep_bytes)
        for _ in range(2):
            scratch.kept("w", (4, 8), torch.float32, CPU, counted(1.0, calls))
        assert len(calls) == fills
    assert scratch.n_bytes == 128  # the plain buffer; the ring is gone
