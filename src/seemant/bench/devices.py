"""The catalogue of devices and budgets that models are recommended for."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seemant.core.errors import BadConfig, nearest
from seemant.core.machine import hardware, memory_bytes
from seemant.core.memory import allowed_bytes

THIS_MACHINE = "this-machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device or a budget; None means that there is no such limit.

    memory_bytes: of the whole device, as `memory_source` reports it. usable_memory_bytes: what is
    left for a model, on the ground that `usable_basis` names. is_this_machine: speed measured
    here holds for it; for all others only size and, roughly, memory do.
    """

    name: str
    title: str
    memory_bytes: int | None = None
    memory_source: str = ""
    usable_memory_bytes: int | None = None
    usable_basis: str = ""
    max_file_bytes: int | None = None
    is_this_machine: bool = False


def devices() -> dict[str, Device]:
    """Return every known device by name, this machine first."""
    return {THIS_MACHINE: _this_machine(), **_catalogue()}


def device_named(name: str) -> Device:
    """Return one device.

    Raises:
        BadConfig: no such device; the message names the nearest one.
    """
    known = devices()
    if name not in known:
        raise BadConfig(f"no device {name!r}", where="devices", fix=nearest(name, known))
    return known[name]


def _this_machine() -> Device:
    total = memory_bytes()
    allowed = allowed_bytes()
    limited = allowed is not None and allowed < total
    return Device(
        name=THIS_MACHINE,
        title=f"this machine ({hardware()['cpu']})",
        memory_bytes=total,
        memory_source="the operating system",
        usable_memory_bytes=allowed if limited else total,
        usable_basis=(
            "the limit that this process's control group is held to"
            if limited
            else "the whole memory: what else runs here is not known"
        ),
        is_this_machine=True,
    )


@cache
def _catalogue() -> dict[str, Device]:
    entries = tomllib.loads(Path(__file__).with_name("devices.toml").read_text(encoding="utf-8"))
    return {
        name: Device(
            name=name,
            title=entry["title"],
            memory_bytes=entry.get("memory_bytes"),
            memory_source=entry.get("memory_source", ""),
            usable_memory_bytes=entry.get("usable_bytes"),
            usable_basis=entry.get("usable_basis", ""),
            max_file_bytes=entry.get("max_file_bytes"),
        )
        for name, entry in entries.items()
    }
