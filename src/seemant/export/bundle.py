"""Bringing files into the bundle unchanged, and proving that they are."""

import os
import shutil
from pathlib import Path

from seemant.core.atomic import atomic_path, write_atomic
from seemant.core.errors import WorldError
from seemant.core.hashing import file_sha256

SUMS_NAME = "SHA256SUMS"


def place(source: Path, target: Path, *, link: bool) -> str:
    """Put a file's very bytes at `target` and return their sha256.

    link: on the same filesystem make a hard link, which costs no space; for large files that
        nobody edits. Without it, and elsewhere, a copy. Either is checked.

    Raises:
        WorldError: the copy differs (a failing disk).
    """
    real = source.resolve()
    target.unlink(missing_ok=True)
    if not (link and _linked(real, target)):
        with atomic_path(target) as temporary:
            shutil.copyfile(real, temporary)
    digest = file_sha256(target)
    if digest != file_sha256(real):
        target.unlink()
        raise WorldError(
            "the copy differs from its original",
            where=str(target),
            fix="check the disk, then run it again",
        )
    return digest


def _linked(real: Path, target: Path) -> bool:
    try:
        os.link(real, target)
    except OSError:  # another filesystem, or one without hard links
        return False
    return True


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    """Write SHA256SUMS, which `sha256sum --check` reads."""
    write_atomic(folder / SUMS_NAME, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
