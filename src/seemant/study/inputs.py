"""From what a user writes to an input of a stage: a model reference, a file, a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seemant.core.errors import BadConfig, BadFile, nearest
from seemant.core.manifest import MANIFEST_NAME, load_manifest
from seemant.core.sources import open_source
from seemant.core.stage import Input, Stage, file_input


def role_kind(stage: Stage[Any], role: str) -> str:
    """Return what a role takes: "model", "text", "pairs", ...

    A role "variant/*" takes any number of inputs, written "variant/NAME".

    Raises:
        BadConfig: the stage has no such role.
    """
    kind = stage.kind_of(role)
    if kind is not None:
        return kind
    roles = {known.removesuffix("*") for known in stage.roles}
    raise BadConfig(f"stage {stage.name!r} has no input {role!r}", fix=nearest(role, roles))


def check_roles(stage: Stage[Any], given: Mapping[str, Any]) -> None:
    """Refuse a set of inputs with an unknown role or without a needed one.

    Raises:
        BadConfig: names the role.
    """
    for role in given:
        role_kind(stage, role)
    for role, kind in stage.roles.items():
        if not role.endswith("/*") and not kind.endswith("?") and role not in given:
            raise BadConfig(f"stage {stage.name!r} needs the input {role!r} ({kind})")


def as_input(text: str, kind: str) -> Input:
    """Return the input that a user's text names.

    A model may be any reference; everything else is a file or an artefact's folder.

    Raises:
        UnknownModel, BadFile: it names nothing.
    """
    path = Path(text.removeprefix("run:"))
    if kind == "model" and (path / "student.json").is_file():
        raise BadFile(
            "a student's adapter where a model is expected",
            where=str(path),
            fix="name its base model here, and this folder with --adapter",
        )
    if kind == "model" and not (path / MANIFEST_NAME).is_file():
        from seemant.models.resolve import resolve  # not needed where no model is named

        model = resolve(text)
        return file_input(model.path, text)
    if kind == "model":
        return file_input(path, f"run:{path}")  # a reference, which can be resolved again
    if kind == "folder":
        from seemant.models.resolve import locate

        return file_input(locate(text).path, text)
    if kind == "text":
        from seemant.corpus.fingerprint import text_input

        return text_input(path)
    label = text
    if (path / MANIFEST_NAME).is_file():
        manifest = load_manifest(path)
        label = f"{manifest.stage}:{manifest.id}"
    return file_input(path, label)


_READ_RECORDS = ("distill", "divergence", "attribution", "qat")  # the others read plain text too


def refuse_plain_text(stage: str, inputs: Mapping[str, Input]) -> None:
    """Refuse lines of text where a stage reads paragraphs, and say which command makes these.

    Raises:
        BadFile: the input `paragraphs` is a file of plain text.
    """
    given = inputs.get("paragraphs")
    if given is None or stage not in _READ_RECORDS or not given.path.is_file():
        return
    with given.path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    begins_with_a_word = b"\0" not in head and head.decode("utf-8", errors="ignore")[:1].isalnum()
    if begins_with_a_word and open_source(given.path).form == "text":  # a table has rows
        raise BadFile(
            "lines of text, where paragraphs with an id and a language are expected",
            where=str(given.path),
            fix=f"seemant corpus sample {given.path} --out paragraphs, then name that folder",
        )
