"""Hidden states as targets: widths are bridged, layers matched by depth."""

import pytest
import torch

from seemant.train.loss.hidden import hidden_loss, matched_layers, projection


def test_the_loss_is_the_mean_squared_difference_and_trains_both_sides() -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(4, 3, generator=generator, requires_grad=True)
    t = torch.randn(4, 5, generator=generator, requires_grad=True)
    p = projection(3, 5, seed=1)
    loss = hidden_loss(h, t, p)
    want = [sum((p[j] @ h[i] - t[i, j]) ** 2 for j in range(5)) / 5 for i in range(4)]
    torch.testing.assert_close(loss.detach(), torch.tensor([float(x.detach()) for x in want]))
    loss.sum().backward()
    assert h.grad is not None and p.grad is not None and p.grad.any()
    assert t.grad is None


@pytest.mark.parametrize(("ours", "theirs"), [(8, 8), (4, 9), (9, 4)])
def test_the_projection_begins_without_changing_lengths(ours: int, theirs: int) -> None:
    p = projection(ours, theirs, seed=3).detach()
    side = p.T @ p if theirs >= ours else p @ p.T
    torch.testing.assert_close(side, torch.eye(min(ours, theirs)), atol=1e-5, rtol=0)
    assert torch.equal(p, projection(ours, theirs, seed=3).detach())


def test_a_student_with_the_teachers_states_loses_nothing() -> None:
    h = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    assert not hidden_loss(h, h, projection(8, 8, seed=0)).any()


def test_layers_are_matched_by_their_share_of_the_depth() -> None:
    assert matched_layers(6, 12, 6) == [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10), (6, 12)]
    assert matched_layers(12, 6, 3) == [(4, 2), (8, 4), (12, 6)]
    assert matched_layers(6, 28, 1) == [(6, 28)]
