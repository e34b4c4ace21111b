"""`seemant serve`: an OpenAI-compatible server on loopback."""

import json as jsonlib
import sys
from typing import Annotated

from cyclopts import Parameter

from seemant.core.machine import cores
from seemant.models.adapters import check_base
from seemant.models.resolve import weights_in
from seemant.serve.config import ServeConfig
from seemant.serve.server import serve as run_server
from seemant.study.inputs import as_input

Flat = Parameter(name="*")


def serve(
    artefact: str,
    *,
    adapter: str | None = None,
    name: str | None = None,
    json: bool = False,
    config: Annotated[ServeConfig, Flat] = ServeConfig(threads=cores()),
) -> None:
    """Serve a model to OpenAI clients on this machine; anything beyond loopback needs a token.

    Example: seemant serve runs/quick/nodes/bundle --port 8080

    Parameters
    ----------
    artefact
        A bundle's or a compress artefact's folder, or a model reference.
    adapter
        A train artefact's folder, or an adapter.gguf; a bundle's own is found by itself.
    name
        What clients see as the model.
    json
        Print the address as a JSON object on standard output.
    """
    given = as_input(artefact, "model")
    path = given.path
    laid = as_input(adapter, "adapter").path if adapter else None
    if laid is not None:
        check_base(laid, path, given.sha256)
    if laid is None and path.is_dir() and (path / "adapter.gguf").is_file():
        laid = path / "adapter.gguf"
    announce = _as_json if json else _as_text
    run_server(weights_in(path), config, adapter=laid, name=name, announce=announce)


def _as_text(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


def _as_json(said: str) -> None:
    address = next(word for word in said.split() if word.startswith("http"))
    print(jsonlib.dumps({"address": address}), flush=True)
