"""Facts about the machine, also where the system is not Linux."""

import os
import resource
import sys

import pytest

from seemant.core.machine import cores
from seemant.core.memory import maxrss_bytes


def test_cores_are_counted_without_linux_s_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores() == 6


def test_peak_memory_is_in_bytes_on_macos_and_in_kib_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Used:
        ru_maxrss = 5000

    monkeypatch.setattr(resource, "getrusage", lambda who: Used)
    monkeypatch.setattr(sys, "platform", "linux")
    assert maxrss_bytes(resource.RUSAGE_SELF) == 5000 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert maxrss_bytes(resource.RUSAGE_SELF) == 5000
