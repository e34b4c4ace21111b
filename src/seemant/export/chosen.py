"""Which of several candidates is exported: the one that a recommendation names for a device.

Where nothing fits the device, the least bad is exported, and its card says first that it is unfit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seemant.core.errors import BadConfig, BadFile
from seemant.core.jsonl import read_json
from seemant.core.manifest import MANIFEST_NAME, load_manifest
from seemant.core.refs import short_name
from seemant.core.stage import Input, Inputs

CANDIDATES = ("variant/", "model/", "adapter/")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The inputs of an export of one model, and what its card says before anything else."""

    inputs: dict[str, Input]
    notice: str


def chosen(inputs: Inputs, device: str) -> Chosen:
    """Return the inputs narrowed to the recommended candidate; unchanged without a recommendation.

    Candidates are "variant/NAME" (compress artefacts) and "model/NAME" with "adapter/NAME" (the
    same NAME) where an adapter lies over the model.

    Raises:
        BadConfig: the recommendation does not speak of the device.
        BadFile: no candidate among the inputs is the one that it names.
    """
    if "recommendation" not in inputs:
        return Chosen({r: i for r, i in inputs.items() if not r.startswith(CANDIDATES)}, "")
    request = _request(inputs["recommendation"].path, device)
    subject, notice = _subject(request, device)
    for role, given in inputs.items():
        kind, _, name = role.partition("/")
        if kind == "variant" and _variant_subject(given.path) == subject:
            return Chosen({"variant": given, **_about(inputs, subject)}, notice)
        adapter = inputs.get(f"adapter/{name}")
        if kind == "model" and _model_subject(given, adapter) == subject:
            found = {"model": given, **({"adapter": adapter} if adapter else {})}
            return Chosen({**found, **_about(inputs, subject)}, notice)
    raise BadFile(
        f"{subject!r} is recommended, and no input of this export is that model",
        where=str(inputs["recommendation"].path),
        fix="give every candidate as variant/NAME, or model/NAME with adapter/NAME",
    )


def _request(folder: Path, device: str) -> Mapping[str, Any]:
    requests = read_json(folder / "recommendation.json")["requests"]
    for request in requests:
        if request["device"] == device:
            return dict(request)
    known = ", ".join(str(request["device"]) for request in requests)
    raise BadConfig(f"nothing is recommended for {device!r}", fix=f"one of: {known}")


def _subject(request: Mapping[str, Any], device: str) -> tuple[str, str]:
    if request["pick"]:
        return str(request["pick"]), ""
    if not request["least_bad"]:
        raise BadFile(f"nothing was measured that could run on {device!r}")
    notice = (
        f"UNFIT for {request['device_title']} in {', '.join(request['languages'])}: "
        f"{request['why']}. This is the least bad of what was measured."
    )
    return str(request["least_bad"]["subject"]), notice


def _variant_subject(folder: Path) -> str:
    return str(read_json(folder / "variant.json")["subject"])


def _model_subject(given: Input, adapter: Input | None) -> str:
    if adapter is not None:
        return str(read_json(adapter.path / "student.json")["subject"])
    return short_name(given.label)


def _about(inputs: Inputs, subject: str) -> dict[str, Input]:
    """Return the evidence that speaks of the subject."""
    found = {}
    for role, given in inputs.items():
        if not role.startswith(("probe/", "divergence/", "bench/")):
            continue
        if not (given.path / MANIFEST_NAME).is_file():
            continue
        if any(m.subject == subject for m in load_manifest(given.path).measurements):
            found[role] = given
    return found
