"""The loop learns, holds what oscillates, resumes to the same bytes, and stops on a NaN."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seemant.compress.qat.freeze import Flips
from seemant.compress.qat.loop import divergence, train
from seemant.compress.qat.student import Rates
from seemant.compress.qat.teacher import teacher_of
from seemant.core.errors import BadFile, WorldError
from tests.compress.qat.conftest import RATES, SEQUENCES, plan

Make = Callable[..., Any]


@pytest.mark.parametrize(("mode", "share"), [("scales", 0.93), ("full", 0.85), ("lora", 0.93)])
def test_the_divergence_falls_in_a_few_steps(
    pair: Make, tmp_path: Path, mode: str, share: float
) -> None:
    student, teacher = pair(mode)
    how = plan(12, ce=0.0)
    before = sum(divergence(student, teacher, SEQUENCES, how))
    lines = train(student, teacher, SEQUENCES, how, tmp_path, {})
    assert [line.step for line in lines] == list(range(1, 13))
    assert sum(divergence(student, teacher, SEQUENCES, how)) < share * before


def test_weights_alone_change_codes_and_help_if_they_can_reach_a_border(
    pair: Make, tmp_path: Path
) -> None:
    for rate, moves in ((0.05, True), (0.002, False)):
        student, teacher = pair("full")
        how = plan(20, rates=Rates(scale=0.0, weight=rate, lora=0.0, norm=0.0))
        before = sum(divergence(student, teacher, SEQUENCES, how))
        codes = {name: layer.codes().n for name, layer in student.layers.items()}
        train(student, teacher, SEQUENCES, how, tmp_path / str(rate), {})
        after = sum(divergence(student, teacher, SEQUENCES, how))
        moved = any(not torch.equal(codes[n], each.codes().n) for n, each in student.layers.items())
        assert moved == moves
        assert after < 0.9 * before if moves else after == before


def test_a_student_of_the_teacher_s_own_logits_has_no_divergence(
    pair: Make, tmp_path: Path
) -> None:
    student, _ = pair()
    own = teacher_of(student.decoder, SEQUENCES, tmp_path, "own")
    assert max(divergence(student, own, SEQUENCES, plan(1))) < 1e-5


def test_states_are_written_as_they_come_and_once_for_a_sequence_that_comes_again(
    pair: Make, tmp_path: Path
) -> None:
    decoder = pair()[0].decoder
    twice, sizes = (*SEQUENCES, *SEQUENCES[:2]), []

    def look() -> (
        None
    ):  # a file that is whole from the start is a hole that a full disk cannot fill
        (file,) = (tmp_path / "states" / ".teacher").iterdir()
        sizes.append(file.stat().st_size)

    teacher = teacher_of(decoder, twice, tmp_path / "states", "twice", look)
    assert len(sizes) == len(SEQUENCES) == len(teacher.states)
    assert sizes[0] < sizes[-1]
    for at in (0, 1):
        assert torch.equal(teacher.hidden([at]), teacher.hidden([len(SEQUENCES) + at]))
    plain = teacher_of(decoder, SEQUENCES, tmp_path / "plain", "plain")
    assert torch.equal(plain.hidden(range(6)), teacher.hidden(range(6)))


class Killed(Exception):
    pass


@pytest.mark.parametrize("mode", ["scales", "full"])
@pytest.mark.parametrize("at", [4, 9])
def test_a_killed_run_goes_on_to_the_same_bits(
    pair: Make, tmp_path: Path, mode: str, at: int
) -> None:
    how = plan(10, freeze=0.2, share=0.5, ce=0.1, warmup=2)
    whole, teacher = pair(mode)
    lines = train(whole, teacher, SEQUENCES, how, tmp_path / "a", {})

    def kill(**_: object) -> None:
        kill.steps += 1  # type: ignore[attr-defined]
        if kill.steps == at:  # type: ignore[attr-defined]
            raise Killed

    kill.steps = 0  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        train(pair(mode)[0], teacher, SEQUENCES, how, tmp_path / "b", {}, kill)
    resumed, _ = pair(mode)
    assert train(resumed, teacher, SEQUENCES, how, tmp_path / "b", {}) == lines
    for name, parameter in whole.parameters().items():
        assert torch.equal(parameter, resumed.parameters()[name]), name
    for name, layer in whole.layers.items():
        assert torch.equal(layer.codes().n, resumed.layers[name].codes().n)


def test_oscillating_codes_are_held_and_others_are_not(pair: Make) -> None:
    layer = pair("full")[0].layers["blk.0.ffn_up.weight"]
    flips = Flips({"x": layer})
    weight = layer.latent.weight
    with torch.no_grad():
        step = layer.d0[0].expand(layer.fixed.shape[1:]).flatten()
        weight[0] = 0.49 * step  # the row that will swing across a border
        flips.start()
        for sign in (1, -1, 1, -1):
            weight[0] += sign * 0.2 * step
            flips.note()
        assert flips.freeze() == weight.shape[1]
        fixed = layer.codes().n[0].clone()
        weight += 3 * layer.d0.abs().max()
    assert torch.equal(layer.codes().n[0], fixed)
    assert layer.held is not None and not layer.held[1:].any()
    assert flips.last == {}


def test_held_codes_do_not_change_in_the_last_steps(pair: Make, tmp_path: Path) -> None:
    student, teacher = pair("full")
    how = plan(10, freeze=0.3, schedule="constant", rates=replace(RATES, weight=0.3))
    seen: list[dict[str, torch.Tensor]] = []

    def look(**_: object) -> None:
        seen.append({n: each.codes().n for n, each in student.layers.items()})

    train(student, teacher, SEQUENCES, how, tmp_path, {}, look)
    held = {n: each.held for n, each in student.layers.items() if each.held is not None}
    assert sum(int(each.sum()) for each in held.values()) > 0
    for codes in seen[-3:]:
        for name, which in held.items():
            assert torch.equal(codes[name][which], student.layers[name].codes().n[which])
    assert any(not torch.equal(seen[-3][n], seen[-1][n]) for n in held)  # the others go on


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    pair: Make, tmp_path: Path
) -> None:
    student, teacher = pair("scales")

    def spoil(**_: object) -> None:
        spoil.steps += 1  # type: ignore[attr-defined]
        if spoil.steps == 4:  # type: ignore[attr-defined]
            with torch.no_grad():
                next(iter(student.layers.values())).scale[0] = torch.nan

    spoil.steps = 0  # type: ignore[attr-defined]
    with pytest.raises(WorldError, match="step 5 is not finite") as caught:
        train(student, teacher, SEQUENCES, plan(8), tmp_path, {}, spoil)
    assert "the checkpoint of step 3 is whole" in str(caught.value)
    again, _ = pair("scales")
    assert len(train(again, teacher, SEQUENCES, plan(8), tmp_path, {})) == 8


def test_a_loss_that_is_not_finite_from_the_start_promises_no_checkpoint(
    pair: Make, tmp_path: Path
) -> None:
    student, teacher = pair("scales")
    with torch.no_grad():
        next(iter(student.layers.values())).scale[0] = torch.nan
    with pytest.raises(WorldError, match="step 1 is not finite") as caught:
        train(student, teacher, SEQUENCES, plan(8), tmp_path, {})
    assert "no checkpoint was written yet" in str(caught.value)
    assert not list(tmp_path.rglob("qat.safetensors"))


def test_another_run_s_checkpoint_is_refused(pair: Make, tmp_path: Path) -> None:
    student, teacher = pair("scales")
    train(student, teacher, SEQUENCES, plan(2), tmp_path, {"model": "a"})
    with pytest.raises(BadFile, match="another run"):
        train(student, teacher, SEQUENCES, plan(2), tmp_path, {"model": "b"})
