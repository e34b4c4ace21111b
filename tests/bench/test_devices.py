"""The catalogue of devices."""

import pytest

from seemant.bench.devices import device_named, devices
from seemant.core.errors import BadConfig
from seemant.core.machine import memory_bytes


def test_this_machine_is_measured() -> None:
    here = device_named("this-machine")
    assert here.is_this_machine
    assert here.usable_memory_bytes == here.memory_bytes == memory_bytes()


def test_the_devices_of_the_studies_are_known() -> None:
    expected = {
        "this-machine",
        "jetson-nano-4gb",
        "orin-nano-8gb",
        "phone-6gb",
        "consumer-gpu-8gb",
        "board-4gb",
        "file-200mb",
    }
    assert set(devices()) == expected
    assert device_named("board-4gb").usable_memory_bytes == 3_200_000_000
    assert device_named("file-200mb").max_file_bytes == 200_000_000
    assert device_named("file-200mb").usable_memory_bytes is None


def test_every_figure_says_where_it_comes_from() -> None:
    for device in devices().values():
        assert device.title
        assert device.usable_memory_bytes or device.max_file_bytes, device.name
        if device.memory_bytes:
            assert device.memory_source, device.name
        if device.usable_memory_bytes:
            assert device.usable_basis, device.name
            assert device.usable_memory_bytes <= (device.memory_bytes or 1e12)


def test_an_unknown_device_is_named_with_its_nearest() -> None:
    with pytest.raises(BadConfig, match="jetson-nano") as caught:
        device_named("jetson-nano")
    assert "jetson-nano-4gb" in str(caught.value.fix)
