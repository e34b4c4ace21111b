"""Opening a model in the engine that is asked for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from seemant.core.errors import BadFile
from seemant.models.backends.protocol import Backend
from seemant.models.resolve import weights_in

Kind = Literal["llamacpp", "torch", "openai"]
ADAPTER_NAME = "adapter.gguf"

_log = logging.getLogger("seemant")


@contextmanager
def open_backend(
    path: Path | str,
    *,
    kind: Kind = "llamacpp",
    adapter: Path | None = None,
    threads: int = 1,
    context: int = 1024,
    seats: int = 1,
    strict: bool = False,
) -> Iterator[Backend]:
    """Give an open model, and close it afterwards.

    path: a GGUF file, an artefact folder that holds `model.gguf`, an HF folder (torch only), or,
        for "openai", "BASE_URL#MODEL".
    adapter: a train artefact, its `adapter.gguf`, or a PEFT folder.
    context: the most tokens that prompt and answer may have.
    seats: how many tasks llama.cpp's `work` does together; other engines do one at a time.
    strict: whoever measures needs the engine that was asked for. Otherwise, where llama.cpp
        cannot be used at all, torch takes its place and a warning is logged; the backend's `name`
        says which one it is.

    Raises:
        NoLlamaCpp: llama.cpp cannot be used here, and `strict`.
    """
    backend = _open(path, kind, adapter, threads, context, seats, strict)
    try:
        yield backend
    finally:
        backend.close()


def _open(
    path: Path | str,
    kind: Kind,
    adapter: Path | None,
    threads: int,
    context: int,
    seats: int,
    strict: bool,
) -> Backend:
    if kind == "openai":
        from seemant.models.backends.openai_backend import OpenAI

        return OpenAI.from_address(str(path))
    place = weights_in(Path(path))
    if kind == "llamacpp":
        from seemant.models.backends.llama_c import NoLlamaCpp

        try:
            return _open_llamacpp(place, adapter, threads, context, seats)
        except NoLlamaCpp as error:
            if strict:
                raise
            _log.warning(
                "%s\n  using torch instead: slower, and without llama.cpp's rounding", error
            )
    from seemant.models.backends.torch_backend import Torch

    return Torch(place, adapter=adapter, threads=threads, context=context)


def _open_llamacpp(
    place: Path, adapter: Path | None, threads: int, context: int, seats: int
) -> Backend:
    from seemant.models.backends.check import check_llamacpp
    from seemant.models.backends.llamacpp import LlamaCpp

    check_llamacpp()  # before any file is looked at: only a runtime at fault may lead to torch
    if place.is_dir():
        raise BadFile(
            "llama.cpp reads GGUF files, and this is a folder",
            where=str(place),
            fix="use the torch backend for it, or compress it to GGUF first",
        )
    opened = partial(LlamaCpp, place, threads=threads, context=context, seats=seats)
    if adapter is None:
        return opened()
    ready = adapter / ADAPTER_NAME if adapter.is_dir() else adapter
    if ready.is_file() and ready.suffix == ".gguf":
        return opened(adapter=ready)
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import write_gguf_lora

    with TemporaryDirectory(prefix="seemant-") as folder:  # read whole when it is opened
        made = Path(folder) / ADAPTER_NAME
        write_gguf_lora(adapter, made, open_gguf(place))
        return opened(adapter=made)
