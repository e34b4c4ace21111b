"""Ways to forget less: the KL rule and stop, the running mean, and what is saved of a change."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from seemant.train.config import TrainConfig
from seemant.train.fit import Fitted, Surroundings, fit
from seemant.train.forget import KlRule, KlStop, RunningMean
from seemant.train.lines import StepLine
from seemant.train.objective import Weight
from seemant.train.rows.render import REPLAY, render
from tests.train.tiny import decoder_of, pair, some_pairs, tiny_llama


def line(**more: Any) -> StepLine:
    given = {"step": 1, "loss": 1.0, "tokens": 9, "answer_tokens": 5, "grad_norm": 1.0, "lr": 0.1}
    return StepLine(**given | more)


def test_the_rule_adds_weight_while_kl_is_over_its_target_and_takes_it_below() -> None:
    weight = Weight(2.0)
    rule = KlRule(weight, target=0.3)
    rule.after_step(line(kl=0.8), [])
    assert weight.value == pytest.approx(2.0 * math.exp(0.1 * 0.5))
    other = KlRule(Weight(0.0), 0.3)
    other.restore(rule.state(), {})
    assert other.weight.value == weight.value
    for _ in range(200):
        rule.after_step(line(kl=0.1), [])
    assert weight.value < 0.1
    before = weight.value
    rule.after_step(line(kl=None), [])
    assert weight.value == before


def test_it_stops_once_the_held_out_kl_is_there() -> None:
    stop = KlStop(0.5)
    assert stop.after_step(line(heldout_kl=None), []) is None
    assert stop.after_step(line(heldout_kl=0.49), []) is None
    verdict = stop.after_step(line(heldout_kl=0.5), [])
    assert verdict is not None and verdict.action == "stop" and "0.500" in verdict.why


def test_the_running_mean_is_the_weighted_mean_of_what_was_seen() -> None:
    parameter = torch.nn.Parameter(torch.tensor([5.0]))
    mean = RunningMean({"p": parameter}, decay=0.9)
    seen = [1.0, -2.0, 4.0, 0.5]
    for step, value in enumerate(seen, 1):
        with torch.no_grad():
            parameter.fill_(value)
        mean.after_update(step)
    weights = [0.9 ** (len(seen) - i) for i in range(1, len(seen) + 1)]
    want = sum(w * v for w, v in zip(weights, seen, strict=True)) / sum(weights)
    assert float(mean.mean["p"]) == pytest.approx(want)
    with mean.in_place():
        assert float(parameter.detach()) == pytest.approx(want)
    assert float(parameter.detach()) == 0.5
    mean.put()
    assert float(parameter.detach()) == pytest.approx(want)


def run(form: Any, out: Path, **more: Any) -> Fitted:
    out.mkdir()
    rows = [render(each, *form) for each in some_pairs(6)]
    if more.get("replay"):
        again = [pair(f"Old {i}?", f"Known {i}", paragraph_id=f"r{i}") for i in range(4)]
        rows += [render(each, *form, bucket=REPLAY) for each in again]
    heldout = [render(each, *form) for each in some_pairs(8)[6:]]
    given = {"rank": 4, "lr": 0.01, "steps": 12, "warmup": 1, "eval_every": 2}
    decoder = decoder_of(tiny_llama(form[1].n_tokens))
    config = TrainConfig(**given | more)
    return fit(decoder, rows, heldout, config, out, Surroundings(belongs={}, machine={}))


def distance(fitted: Fitted) -> float:
    assert fitted.kl is not None
    return sum(fitted.kl)


def test_more_weight_on_kl_keeps_the_student_nearer_to_its_base(plain: Any, tmp_path: Path) -> None:
    found = [distance(run(plain, tmp_path / str(w), kl_base=w)) for w in (0.0, 1.0, 10.0)]
    assert found[0] > 1.3 * found[1] > 1.3 * 2 * found[2] > 0


def test_a_target_steers_the_weight_both_ways(plain: Any, tmp_path: Path) -> None:
    near = run(plain, tmp_path / "near", kl_base=0.3, kl_target=0.001, steps=30)
    kls = [each.kl for each in near.progress.history if each.kl is not None]
    assert len(kls) == 30 and max(kls) > 0


def test_kl_stop_ends_every_arm_at_the_same_dose(plain: Any, tmp_path: Path) -> None:
    fitted = run(plain, tmp_path / "a", kl_stop=0.2, steps=60, lr=0.003)
    looks = [each.heldout_kl for each in fitted.progress.history if each.heldout_kl is not None]
    assert fitted.progress.ended.startswith("stop: kl_stop")
    assert fitted.progress.step < 60
    assert looks[-1] >= 0.2 and all(kl < 0.2 for kl in looks[:-1])
    assert looks[0] == pytest.approx(0.0, abs=1e-6)


def test_a_share_of_the_change_scales_it_and_none_is_the_base(plain: Any, tmp_path: Path) -> None:
    whole = run(plain, tmp_path / "1")
    half = run(plain, tmp_path / "half", average=0.5)
    none = run(plain, tmp_path / "0", average=0.0)
    assert distance(none) == pytest.approx(0.0, abs=1e-6)
    assert 0 < distance(half) < distance(whole)
    assert none.progress.now == pytest.approx(none.progress.before, rel=1e-6)
    assert none.progress.now != whole.progress.now
    for name, module in half.adapters.items():
        assert module.scale == whole.adapters[name].scale / 2
        assert torch.equal(module.lora_b, whole.adapters[name].lora_b)


def test_the_mean_is_looked_at_and_kept_and_training_goes_on_from_the_weights(
    plain: Any, tmp_path: Path
) -> None:
    bare, mean = run(plain, tmp_path / "bare"), run(plain, tmp_path / "mean", ema=0.7)
    losses = [[each.loss for each in f.progress.history] for f in (bare, mean)]
    assert losses[0] == losses[1]  # the steps are the same ones
    looks = [[each.heldout_loss for each in f.progress.history] for f in (bare, mean)]
    assert looks[0] != looks[1]
    a, b = (next(iter(f.parameters.values())) for f in (bare, mean))
    assert not torch.equal(a, b)
    tokens = sum(row.n_answer for row in [render(e, *plain) for e in some_pairs(8)[6:]])
    assert sum(mean.progress.now) / tokens == pytest.approx(looks[1][-1])


def test_replay_is_a_bucket_of_its_own_with_its_share_of_tokens(plain: Any, tmp_path: Path) -> None:
    fitted = run(plain, tmp_path / "a", replay=0.4, steps=20)
    buckets = {name for each in fitted.progress.history for name in each.loss_by_bucket}
    assert buckets == {"pairs", "replay"}
