"""Rates follow their schedule; every optimiser by name moves, decays matrices only, and resumes."""

from itertools import pairwise

import pytest
import torch

from seemant.train.optim import Pace, learning_rate, make_optimiser
from tests.train.tiny import needs_package

PACE = Pace(steps=25, accumulation=1, lr=1.0, warmup=5)


def rates(schedule: str) -> list[float]:
    pace = Pace(steps=25, accumulation=1, lr=1.0, warmup=5, schedule=schedule)
    return [learning_rate(step, pace) for step in range(25)]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_warms_up_in_a_line(schedule: str) -> None:
    assert rates(schedule)[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_then_it_falls_as_half_a_cosine_or_a_line_or_stays() -> None:
    cosine, linear, constant = map(rates, ("cosine", "linear", "constant"))
    assert cosine[15] == linear[15] == pytest.approx(0.5)
    assert cosine[10] == pytest.approx(0.5 * (1 + 2**-0.5))
    assert linear[10] == pytest.approx(0.75)
    assert all(a > b for a, b in pairwise(cosine[5:])) and 0 < cosine[-1] < 0.01
    assert linear[-1] == pytest.approx(0.05)
    assert constant[5:] == [1.0] * 20


def test_without_a_warm_up_the_first_step_has_the_whole_rate() -> None:
    assert learning_rate(0, Pace(steps=3, accumulation=1, lr=0.7)) == 0.7


@pytest.mark.parametrize("name", ["adamw", "adamw8bit", "lion", "adafactor"])
def test_it_moves_parameters_and_decays_matrices_alone(name: str) -> None:
    needs_package(name)
    matrix = torch.nn.Parameter(torch.full((80, 64), 0.5))
    gain = torch.nn.Parameter(torch.full((64,), 0.5))
    optimiser = make_optimiser(name, [matrix, gain], lr=0.01, weight_decay=0.1)
    for parameter in (matrix, gain):
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    assert float(matrix.detach()[0, 0]) == pytest.approx(0.5 * (1 - 0.001), rel=1e-4)
    assert float(gain.detach()[0]) == 0.5
    before = matrix.detach().clone()
    matrix.grad = torch.ones_like(matrix)
    gain.grad = torch.ones_like(gain)
    optimiser.step()
    assert (matrix.detach() < before).all() and (gain.detach() < 0.5).all()
