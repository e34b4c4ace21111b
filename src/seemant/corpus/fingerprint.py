"""Corpus files as inputs of the stage: known by their content, or, when huge, by a fingerprint."""

from collections.abc import Sequence
from pathlib import Path

from seemant.core.errors import BadFile
from seemant.core.hashing import file_sha256, sampled_sha256
from seemant.core.records import LANGUAGES
from seemant.core.stage import Input
from seemant.corpus.shipped import SHIPPED_SOURCE, shipped_path

WHOLE_UP_TO_BYTES = 1 << 28  # 256 MiB: hashed whole in about a second


def text_input(path: Path) -> Input:
    """Return a corpus file as an input of the stage.

    Raises:
        BadFile: nothing is there, or it is a folder.
    """
    if path.is_dir():
        raise BadFile("a folder where a file is expected", where=str(path), fix="name its files")
    if not path.is_file():
        raise BadFile("no such file", where=str(path), fix="check the path")
    return Input(path, str(path), fingerprint(path))


def corpus_inputs(paths: Sequence[Path]) -> dict[str, Input]:
    """Return the stage's inputs for these files, or for the shipped corpus when none is named."""
    if not paths:
        return {
            f"files/{lang}": Input(
                shipped_path(lang), f"{SHIPPED_SOURCE}{lang}.jsonl", file_sha256(shipped_path(lang))
            )
            for lang in LANGUAGES
        }
    return {f"files/{number}": text_input(path) for number, path in enumerate(paths)}


def fingerprint(path: Path) -> str:
    """Return 64 hexadecimal digits that stand for a file's content.

    Up to 256 MiB that is its SHA-256; a larger file is not read whole (`sampled_sha256`).
    """
    whole = path.stat().st_size <= WHOLE_UP_TO_BYTES
    return file_sha256(path) if whole else sampled_sha256(path)
