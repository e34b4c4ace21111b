"""A GPU is used where there is one, and made ready before anything lands on it."""

import os
from types import SimpleNamespace

import pytest
import torch

from seemant.train.determinism import deterministic
from seemant.train.scale.device import device_of_environment, make_ready
from seemant.train.scale.world import Lone


class Moved:
    """A decoder that only notes where it was sent."""

    def __init__(self) -> None:
        self.to_devices: list[str] = []

    def to(self, device: torch.device) -> None:
        self.to_devices.append(str(device))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine that says it has GPUs; return what is asked of them, in order."""
    asked: list[str] = []

    def set_device(device: torch.device) -> None:
        asked.append(f"{device} {os.environ.get('CUBLAS_WORKSPACE_CONFIG')}")

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    return asked


def test_a_machine_without_gpus_trains_on_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of_environment({"LOCAL_RANK": "1"}) == "cpu"
    decoder = Moved()
    Lone().place(decoder)
    assert decoder.to_devices == []


def test_each_rank_has_the_gpu_of_its_number_on_its_machine(gpus: list[str]) -> None:
    assert device_of_environment({"LOCAL_RANK": "3", "RANK": "7"}) == "cuda:3"
    assert device_of_environment({}) == "cuda:0"


def test_a_process_alone_uses_the_gpu(gpus: list[str]) -> None:
    decoder = Moved()
    Lone().place(decoder)
    assert decoder.to_devices == ["cuda:0"]
    assert gpus == ["cuda:0 :4096:8"]  # cuBLAS reads its setting once: it stood before


def test_it_stays_on_the_cpu_where_that_is_asked_for(gpus: list[str]) -> None:
    decoder = Moved()
    Lone("cpu").place(decoder)
    assert decoder.to_devices == gpus == []


def test_a_rank_takes_its_own_gpu_before_the_group_is_made(
    gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.train.scale import processes

    def made(backend: str, **_: object) -> None:
        gpus.append(backend)

    fake = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: False,
        init_process_group=made,
        destroy_process_group=lambda: None,
        get_world_size=lambda: 2,
        get_rank=lambda: 1,
    )
    monkeypatch.setattr(processes, "dist", fake)
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    with processes.world_here(device_of_environment()) as world:
        decoder = Moved()
        world.place(decoder)
    assert gpus[:2] == ["cuda:1 :4096:8", "nccl"]
    assert decoder.to_devices == ["cuda:1"]


def test_a_user_s_own_workspace_is_left(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    make_ready("cuda:0")
    assert gpus == ["cuda:0 :16:8"]


def test_a_deterministic_block_fixes_the_workspace(gpus: list[str]) -> None:
    with deterministic(0, torch.get_num_threads()):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
