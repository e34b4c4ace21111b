"""The manifest: what an artefact is, what made it and what was measured. Written last."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from seemant.core.atomic import write_atomic
from seemant.core.errors import BadFile
from seemant.core.hashing import file_sha256, json_sha256
from seemant.core.measurement import Measurement
from seemant.core.runlog import EVENTS_NAME

MANIFEST_NAME = "manifest.json"
CONFIG_NAME = "config.json"
SCHEMA_VERSION = 1

_NOT_CONTENT = {MANIFEST_NAME, CONFIG_NAME, EVENTS_NAME}  # they hold times, not results


class FileEntry(BaseModel):
    """One file of an artefact."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    path: str
    bytes: int
    sha256: str


class InputEntry(BaseModel):
    """One input: what the user called it and the hash of its content."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    label: str
    sha256: str


class Manifest(BaseModel):
    """Everything about a whole artefact. Its presence in a folder means: this folder is whole."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    schema_version: int = SCHEMA_VERSION
    stage: str
    stage_version: int
    id: str
    config: dict[str, Any]
    inputs: dict[str, InputEntry]
    files: list[FileEntry]
    measurements: list[Measurement]
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    seeds: dict[str, int]
    packages: dict[str, str]
    hardware: dict[str, Any]
    git: str | None
    created: str

    @property
    def content_sha256(self) -> str:
        """The artefact's content: names and hashes of its files, free of times and logs.

        Without such files (bench) the measurements are the content, those of this very run.
        """
        files = [[f.path, f.sha256] for f in self.files if Path(f.path).name not in _NOT_CONTENT]
        if files:
            return json_sha256(files)
        return json_sha256([self.id, [m.model_dump(mode="json") for m in self.measurements]])


def now() -> str:
    """Return the time as a manifest writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def list_files(folder: Path) -> list[FileEntry]:
    """Return the entries of all files in a folder that belong to its content.

    Hidden files and folders (locks, temporaries, checkpoints of unfinished work) are left out.
    """
    entries = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and path.name not in (MANIFEST_NAME,):
            entries.append(
                FileEntry(path="/".join(parts), bytes=path.stat().st_size, sha256=file_sha256(path))
            )
    return entries


def commit_manifest(folder: Path, manifest: Manifest) -> None:
    """Publish an artefact: before this call its folder is only work to resume."""
    write_atomic(folder / MANIFEST_NAME, manifest.model_dump_json(indent=2) + "\n")


def load_manifest(folder: Path) -> Manifest:
    """Return the manifest of an artefact.

    Raises:
        BadFile: the folder has none (its run did not finish), or it is damaged.
    """
    path = folder / MANIFEST_NAME
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadFile(
            "no finished artefact here: manifest.json is missing",
            where=str(folder),
            fix="name the folder of a finished run, or run the same command again to finish it",
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise BadFile(f"a damaged manifest: {error}", where=str(path)) from error


def is_whole(folder: Path) -> bool:
    """Return whether the folder holds a finished artefact with all files in their full size."""
    if not (folder / MANIFEST_NAME).is_file():
        return False
    manifest = load_manifest(folder)
    return all(
        (folder / f.path).is_file() and (folder / f.path).stat().st_size == f.bytes
        for f in manifest.files
    )
