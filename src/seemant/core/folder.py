"""An artefact's folder: whose it is, whether its run is finished, and what may be removed."""

import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json
from seemant.core.lock import LOCK_NAME
from seemant.core.manifest import CONFIG_NAME, MANIFEST_NAME


def held_by(folder: Path) -> str | None:
    """Return the id of the question that the folder belongs to; None for a new or empty one.

    Raises:
        BadFile: the folder is not ours: there are files, and none of them says a question.
    """
    if not folder.exists():
        return None
    for path in (folder / MANIFEST_NAME, folder / CONFIG_NAME):
        if (said := _id_in(path)) is not None:
            return said
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return None
    raise BadFile(
        "this folder holds something else than a result of seemant",
        where=str(folder),
        fix="name a new or an empty folder with --out",
    )


def refuse_unfinished(folder: Path) -> None:
    """Refuse a folder of ours whose run has not ended: its files may be half of an answer.

    A manifest says that it ended, whatever became of single files since. Other tools' folders pass.

    Raises:
        BadFile: it is one.
    """
    if not (folder / MANIFEST_NAME).is_file() and _id_in(folder / CONFIG_NAME) is not None:
        raise BadFile("this run is not finished", where=str(folder), fix="give its command again")


def names_in(folder: Path) -> frozenset[str] | None:
    """Return the names of what lies in a folder; None where there is no folder."""
    return frozenset(each.name for each in folder.iterdir()) if folder.is_dir() else None


def forget(folder: Path, before: Collection[str] | None) -> None:
    """Remove what a refused run made; its lock is held.

    before: the names that lay there when it began; None where the folder was made by it, and goes.

    Answers that were journaled stay: a model server refuses a request (a key that has run out) in
    the middle of long work, and the same command goes on once that is mended.
    """
    kept = {LOCK_NAME, *(before or ())}
    with suppress(OSError):  # what cannot be removed hides no reason of the refusal
        if any(path.stat().st_size for path in folder.glob("*journal.jsonl")):
            return
        _remove(folder, kept)
        if LOCK_NAME not in (before or ()):
            (folder / LOCK_NAME).unlink()
        if before is None:
            folder.rmdir()


def empty(folder: Path) -> None:
    """Remove all but the lock, which is held."""
    _remove(folder, {LOCK_NAME})


def drop_temporaries(folder: Path) -> None:
    """Remove what killed runs left half-written; the folder's lock is held."""
    for path in folder.rglob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()


_TEMPORARY = re.compile(r"\..+\.[0-9]+\.tmp")  # as `atomic_path` names them


def _remove(folder: Path, keep: Collection[str]) -> None:
    # The word on whose folder it is goes last: a run killed here can be asked again.
    for path in sorted(
        folder.iterdir(), key=lambda each: each.name in (CONFIG_NAME, MANIFEST_NAME)
    ):
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _id_in(path: Path) -> str | None:
    """Return the id that a file of ours says; other tools have a config.json too."""
    try:
        found: Any = read_json(path) if path.is_file() else None
    except BadFile:
        return None
    ours = isinstance(found, dict) and {"stage", "id", "config"} <= set(found)
    return str(found["id"]) if ours else None
