"""A Hugging Face folder as the GGUF file that every command reads, made once and kept in the cache.

It lies among the expansions (`expansions.py`) under their common bound. `source.json` is written
last: a folder without it is unfinished work of a killed process and is made again.
"""

import json
import logging
import shutil
from pathlib import Path

from seemant.core.atomic import write_atomic
from seemant.core.os_errors import from_os_error
from seemant.models.catalogue import MODEL_NAME
from seemant.models.expansions import alone_in, make_room, mark_used, place_of
from seemant.models.hf_folder import weight_files

VERSION = 1  # raise it when the file's content can change
_SOURCE_NAME = "source.json"
_WORTH_A_LINE = 200_000_000  # bytes of weights: below, it takes a second or two

_log = logging.getLogger("seemant")


def converted(folder: Path, name: str) -> Path:
    """Return the GGUF file of a folder's model, made now where the cache lacks it.

    name: what the file calls the model.

    Raises:
        BadFile: a family, tokenizer or form that is not written here, or a damaged folder.
        DiskFull, NoPermission: the cache cannot be written; nothing half-made counts.
    """
    try:
        weights = weight_files(folder)
        beside = [each for each in folder.iterdir() if each.suffix in (".json", ".jinja")]
        files = sorted({*weights, *(each for each in beside if each.is_file())})
        place = place_of([VERSION, name], files)
        if not (place / _SOURCE_NAME).is_file():
            n_bytes = sum(each.stat().st_size for each in weights)
            if n_bytes > _WORTH_A_LINE:
                _log.warning("making a GGUF file of %s (%.0f MB), once", folder, n_bytes / 1e6)
            with alone_in(place):
                if not (place / _SOURCE_NAME).is_file():
                    _make(folder, place, name)
            make_room(place)
    except OSError as error:
        raise from_os_error(error, folder) from error
    mark_used(place)
    return place / MODEL_NAME


def _make(folder: Path, place: Path, name: str) -> None:
    from seemant.models.hf_to_gguf import hf_to_gguf

    try:
        hf_to_gguf(folder, place / MODEL_NAME, name=name)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)  # a refused folder leaves nothing behind
        raise
    facts = {"source": str(folder.resolve()), "name": name}
    write_atomic(place / _SOURCE_NAME, json.dumps(facts, indent=2) + "\n")
