"""Silence is broken by a line; a stage that speaks by itself is left alone."""

import sys
import time

import pytest

from seemant.core.heartbeat import heartbeat


def test_a_silent_stage_is_said_to_be_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    with heartbeat("compress", silence_s=0.05):
        time.sleep(0.4)
    assert sys.stderr is before
    said = capsys.readouterr().err.splitlines()
    assert said and all(line.startswith("compress: at work, ") for line in said)


def test_a_stage_that_speaks_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with heartbeat("train", silence_s=30):
        print("train: 1/2 steps", file=sys.stderr)
    assert capsys.readouterr().err == "train: 1/2 steps\n"


def test_an_error_goes_through_and_standard_error_comes_back() -> None:
    before = sys.stderr
    with pytest.raises(ValueError, match="bad"), heartbeat("train"):
        raise ValueError("bad")
    assert sys.stderr is before
