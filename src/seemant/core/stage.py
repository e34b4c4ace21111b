"""Stages: the one way in which anything is made, from the command line and from a study alike.

A stage is a function `run(config, inputs, out) -> measurements` that fills the folder `out`.
`execute` gives it the folder that belongs to its identity, locks it, and writes the manifest when
it is done. The same question lands in the same folder: asked again, nothing is run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from seemant.core.config import Config
from seemant.core.errors import BadFile, InputError
from seemant.core.folder import (
    drop_temporaries,
    empty,
    forget,
    held_by,
    names_in,
    refuse_unfinished,
)
from seemant.core.hashing import file_sha256, folder_sha256, json_sha256
from seemant.core.jsonl import write_json
from seemant.core.lock import folder_lock
from seemant.core.machine import git_revision, hardware, packages
from seemant.core.manifest import (
    CONFIG_NAME,
    MANIFEST_NAME,
    InputEntry,
    Manifest,
    commit_manifest,
    is_whole,
    list_files,
    load_manifest,
    now,
)
from seemant.core.measurement import Measurement
from seemant.core.os_errors import from_os_error
from seemant.core.runlog import log_event
from seemant.core.usage import Usage

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a stage: a file, or a folder; `label` is what the user calls it."""

    path: Path
    label: str
    sha256: str


Inputs = Mapping[str, Input]


@dataclass(frozen=True, slots=True)
class Stage(Generic[C]):
    """A stage: its one word, its config, the roles of its inputs and the function.

    version: raised whenever the stage's numbers can change.
    roles: input role -> what it is ("model", a "folder" of one, "text", ...). A role that ends in
        "*" takes any number of inputs, which arrive as "role/NAME"; one that ends in "?" may be
        absent.
    data: files of this package that its numbers rest on, relative to it; `*` matches. Their
        content is part of the identity.
    hardware_bound: its numbers belong to this machine, so the machine is part of its identity.
    """

    name: str
    version: int
    config: type[C]
    run: Callable[[C, Inputs, Path], list[Measurement]]
    roles: Mapping[str, str]
    data: tuple[str, ...] = ()
    hardware_bound: bool = False

    def kind_of(self, role: str) -> str | None:
        """Return what a role takes ("model", "pairs", ...); None where there is no such role."""
        for known, kind in self.roles.items():
            stem = known.removesuffix("*")
            if role == known or (stem != known and role.startswith(stem) and role != stem):
                return kind.rstrip("?")
        return None


@dataclass(frozen=True, slots=True)
class Done:
    """A finished artefact; `reused` says that it was there already."""

    path: Path
    manifest: Manifest
    reused: bool

    def as_input(self, label: str) -> Input:
        """Return this artefact as an input of the next stage."""
        return Input(self.path, label, self.manifest.content_sha256)


def file_input(path: Path, label: str | None = None) -> Input:
    """Return a file or a folder as an input; a finished artefact is known by its content.

    Raises:
        BadFile: nothing is there, or a folder of ours whose run is not finished.
    """
    label = label or str(path)
    if path.is_file():
        facts = path.stat()
        return Input(path, label, _sha256_once(path, facts.st_size, facts.st_mtime_ns))
    if (path / MANIFEST_NAME).is_file():
        return Input(path, label, load_manifest(path).content_sha256)
    if path.is_dir():
        refuse_unfinished(path)
        return Input(path, label, folder_sha256(path))
    raise BadFile("no such file or folder", where=str(path), fix="check the path")


@cache
def _sha256_once(path: Path, size: int, mtime_ns: int) -> str:
    """Hash a file once a process: a study asks for the same model many times."""
    return file_sha256(path)


def identity(stage: Stage[C], config: C, inputs: Inputs) -> str:
    """Return the 12 hexadecimal digits that name this question.

    Of the settings those count that are part of the question (`Config.asked`): more threads or a
    longer timeout go on with the work so far. An input is known by its content. What a model is
    called counts too: its languages and the names of subjects come from there.
    """
    question = {
        "stage": stage.name,
        "version": stage.version,
        "config": config.asked(),
        "inputs": {role: given.sha256 for role, given in inputs.items()},
    }
    named = ("model", "folder")
    labels = {r: i.label for r, i in inputs.items() if stage.kind_of(r) in named}
    if labels:
        question["labels"] = labels
    if stage.data:
        question["data"] = _data_sha256(stage.data)
    if stage.hardware_bound:
        question["hardware"] = hardware()
        question["runtime"] = packages().get("xllamacpp")
    return json_sha256(question)[:12]


def _data_sha256(patterns: tuple[str, ...]) -> list[list[str]]:
    package = Path(__file__).parents[1]
    found: list[list[str]] = []
    for pattern in patterns:
        files = sorted(package.glob(pattern))
        if not files:
            raise BadFile(
                f"{pattern} is missing from this installation",
                where=str(package),
                fix="install seemant again",
            )
        found += [[p.relative_to(package).as_posix(), file_input(p).sha256] for p in files]
    return found


def execute(
    stage: Stage[C],
    config: C,
    inputs: Inputs,
    *,
    store: Path,
    out: Path | None = None,
    force: bool = False,
) -> Done:
    """Return the artefact that answers this question, making it only if it is not there.

    `out` names another folder than `store/STAGE/ID`: a new or empty one, or one of ours. `force`
    makes it anew.

    A run that refuses its input leaves nothing of what this call made: the mended command, which is
    another question, finds its folder free.

    Raises:
        BadFile: the folder holds something else, or work on another question (without `force`).
        InputError: the run refused its input.
        Locked: another process is making it.
        WorldError: the world failed; what was done is kept and the same call goes on from there.
    """
    name = identity(stage, config, inputs)
    folder = out or store / stage.name / name
    try:
        before = names_in(folder)
        # Before a lock is laid into a folder that is not ours, or that cannot be written.
        if held_by(folder) == name and not force and is_whole(folder):
            return Done(folder, load_manifest(folder), reused=True)
        with folder_lock(folder):
            held = held_by(folder)
            if force and held is not None:
                empty(folder)
                before, held = names_in(folder), None
            if held not in (None, name):
                raise BadFile(
                    "this folder holds work on another question",
                    where=str(folder),
                    fix="name an empty folder with --out, or add --force to replace it",
                )
            if is_whole(folder):
                return Done(folder, load_manifest(folder), reused=True)
            (folder / MANIFEST_NAME).unlink(missing_ok=True)  # a file is missing: mend it
            drop_temporaries(folder)
            try:
                return Done(folder, _fill(stage, config, inputs, folder, name), reused=False)
            except InputError:
                if held is None:
                    forget(folder, before)
                raise
    except OSError as error:
        raise from_os_error(error, folder) from error


def _fill(stage: Stage[C], config: C, inputs: Inputs, folder: Path, name: str) -> Manifest:
    usage = Usage()
    settings = config.model_dump(mode="json")
    write_json(folder / CONFIG_NAME, {"stage": stage.name, "id": name, "config": settings})
    log_event(folder, "start", stage=stage.name, id=name)
    measurements = stage.run(config, inputs, folder)
    log_event(folder, "done", stage=stage.name, id=name)
    usage.stop()
    manifest = Manifest(
        stage=stage.name,
        stage_version=stage.version,
        id=name,
        config=settings,
        inputs={r: InputEntry(label=i.label, sha256=i.sha256) for r, i in inputs.items()},
        files=list_files(folder),
        measurements=measurements,
        wall_s=usage.wall_s,
        cpu_s=usage.cpu_s,
        peak_rss_bytes=usage.peak_rss_bytes,
        seeds={"seed": settings["seed"]} if "seed" in settings else {},
        packages=packages(),
        hardware=hardware(),
        git=git_revision(),
        created=now(),
    )
    commit_manifest(folder, manifest)
    return manifest
