"""The listening socket of a server, and what its handlers need."""

import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from seemant.models.prompts import Template
from seemant.serve.config import ServeConfig
from seemant.serve.engine import Engine


class ModelServer(ThreadingHTTPServer):
    """The listening socket and what the handlers need."""

    daemon_threads = True
    block_on_close = False  # `Engine.close` ends what the handlers wait for

    def __init__(
        self,
        config: ServeConfig,
        engine: Engine,
        template: Template,
        model_name: str,
        handler: type[BaseHTTPRequestHandler],
    ) -> None:
        if ":" in config.host:
            self.address_family = socket.AF_INET6
        super().__init__((config.host, config.port), handler)
        self.engine = engine
        self.template = template
        self.model_name = model_name
        self.token = config.token
        self.created = int(time.time())
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.address = f"http://{host}:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about clients that go away; handlers answer all other errors."""
