"""Serving one model: open it, listen, answer, end cleanly."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seemant.core.errors import WorldError
from seemant.core.refs import short_name
from seemant.models.backends.open import Kind, open_backend
from seemant.models.prompts import Template, template_of
from seemant.models.resolve import weights_in
from seemant.serve.config import ServeConfig, check_exposure
from seemant.serve.engine import Engine
from seemant.serve.handler import Handler
from seemant.serve.listening import ModelServer


def serve(
    path: Path,
    config: ServeConfig,
    *,
    adapter: Path | None = None,
    name: str | None = None,
    announce: Callable[[str], object] = lambda text: sys.stderr.write(text + "\n"),
) -> None:
    """Serve a model until Ctrl-C, which ends the running answer and comes out as such.

    name: what clients see as the model; by default the file's. announce: gets the address once
    it answers.

    Raises:
        BadConfig, BadFile, WorldError: as `running`.
        KeyboardInterrupt: at Ctrl-C, after everything is closed.
    """
    with running(path, config, adapter=adapter, name=name) as address:
        announce(f"serving at {address}/v1 (Ctrl-C ends it)")
        while True:
            time.sleep(3600)


@contextmanager
def running(
    path: Path, config: ServeConfig, *, adapter: Path | None = None, name: str | None = None
) -> Iterator[str]:
    """Give the address of a server that answers while the block runs.

    Raises:
        BadConfig: open to a network without a token. BadFile: no model there.
        WorldError: the port is taken or may not be used.
    """
    check_exposure(config)
    weights = weights_in(path)
    template = template_of(weights, config.template)
    kind: Kind = "torch" if weights.is_dir() else "llamacpp"
    with open_backend(
        weights, kind=kind, adapter=adapter, threads=config.threads, context=config.context
    ) as backend:
        engine = Engine(backend, context=config.context, max_waiting=config.max_waiting)
        try:
            shown = name or short_name(f"path:{weights}")
            server = _listen(config, engine, template, shown)
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            )
            thread.start()
            try:
                yield server.address
            finally:
                server.shutdown()
                server.server_close()
                thread.join()
        finally:
            engine.close()


def _listen(
    config: ServeConfig, engine: Engine, template: Template, model_name: str
) -> ModelServer:
    try:
        return ModelServer(config, engine, template, model_name, Handler)
    except OSError as error:
        raise WorldError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror or error}",
            fix="name another port with --port, or 0 for any free one",
        ) from error
