"""The licence of a model and the files that must travel with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile
from seemant.models.carriers import licence_files
from seemant.models.catalogue import Entry, entries


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence: its name and address, and its files; all empty where nobody says."""

    name: str
    link: str
    files: tuple[Path, ...]


def known_model(sha256: str) -> Entry | None:
    """Return the embedded model whose file has this hash, or None."""
    return next((entry for entry in entries().values() if entry.sha256 == sha256), None)


def licence_of(entry: Entry | None, metadata: Mapping[str, Any]) -> Licence:
    """Return the licence of an embedded model, or what any other's metadata say of it.

    Raises:
        BadFile: an embedded model's licence files are not in the cache, so they cannot travel.
    """
    if entry is None:
        name = metadata.get("general.license.name") or metadata.get("general.license") or ""
        return Licence(str(name), str(metadata.get("general.license.link", "")), ())
    files = licence_files(entry)
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise BadFile(
            f"the {entry.licence_name} must travel with this model, and "
            f"{', '.join(missing)} is not in the cache",
            where=str(entry.folder),
            fix=f"seemant models fetch {entry.name}",
        )
    return Licence(entry.licence_name, entry.licence_url, files)
