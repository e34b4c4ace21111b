"""HTTP: routes, who may ask, how much, and errors in JSON."""

import json
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import suppress
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from seemant.core.errors import InputError, SeemantError
from seemant.core.records import nfc
from seemant.models.backends.protocol import Generation
from seemant.serve.body import read_body
from seemant.serve.config import is_loopback
from seemant.serve.conversation import prompt_of
from seemant.serve.listening import ModelServer
from seemant.serve.replies import Kind, error_body, event, piece, reply, usage
from seemant.serve.requests import ChatRequest, CompletionRequest, Refusal, read_request

TIMEOUT_S = 30.0  # for a client to send its request
_READS, _ASKS = ("GET", "HEAD", "OPTIONS"), ("POST", "OPTIONS")
_ANSWERS = ("/chat/completions", "/completions")


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    server_version = "seemant"
    sys_version = ""
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        """Tell health and the model's name."""
        self._guarded(self._get)

    def do_POST(self) -> None:
        """Answer a conversation or continue a text."""
        self._guarded(self._post)

    def do_HEAD(self) -> None:
        """Answer as a GET does, without the body."""
        self._guarded(self._get)

    def do_OPTIONS(self) -> None:
        """Tell what may be asked. No other site is let in: there are no CORS headers."""
        self._guarded(self._options)

    def do_PUT(self) -> None:
        """Refuse: nothing can be changed here."""
        self._guarded(self._not_allowed)

    do_PATCH = do_DELETE = do_PUT

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: what people ask is theirs."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send an error of the HTTP layer itself as JSON too."""
        self.close_connection = True
        self._send(code, error_body(message or "bad request", "invalid_request_error"))

    def _guarded(self, answer: Any) -> None:
        try:
            answer()
        except Refusal as refusal:
            self._refuse(refusal)
        except InputError as error:
            self._refuse(Refusal(400, str(error)))
        except SeemantError as error:
            self._refuse(Refusal(500, str(error), "server_error"))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            self._refuse(Refusal(500, f"{type(error).__name__}: {error}", "server_error"))

    def _get(self) -> None:
        place = place_of(self.path)
        if place == "/health":
            self._send(200, {"status": "ok"})
            return
        self._check_asker()
        if place in _ANSWERS:
            self._not_allowed()
        named = place.removeprefix("/models/") if place.startswith("/models/") else None
        if named is not None and named != nfc(self.server.model_name):
            raise Refusal(404, f"the model {named!r} does not exist", code="model_not_found")
        if named is None and place != "/models":
            raise Refusal(404, f"no such page: {place}")
        one = {
            "id": self.server.model_name,
            "object": "model",
            "created": self.server.created,
            "owned_by": "seemant",
        }
        whole = {"object": "list", "data": [one]}
        self._send(200, whole if named is None else one)

    def _options(self) -> None:
        self.send_response(204)
        self.send_header("Allow", ", ".join(self._allowed()))
        self.end_headers()

    def _not_allowed(self) -> None:
        allowed = ", ".join(self._allowed())
        what = f"{self.command} is not for this page, only {allowed}"
        raise Refusal(405, what, headers={"Allow": allowed})

    def _allowed(self) -> tuple[str, ...]:
        return _ASKS if place_of(self.path) in _ANSWERS else _READS

    def _post(self) -> None:
        self._check_asker()
        place = place_of(self.path)
        if place == "/health" or place == "/models" or place.startswith("/models/"):
            self._not_allowed()
        if place not in _ANSWERS:
            raise Refusal(404, f"no such page: {place}")
        body = read_body(self.headers, self.rfile)
        if place == "/chat/completions":
            chat: ChatRequest = read_request(ChatRequest, body)
            prompt = prompt_of(self.server.template, chat.messages, chat.lang)
            self._answer("chat", chat, prompt.text, [*prompt.stops, *chat.stops])
        else:
            completion: CompletionRequest = read_request(CompletionRequest, body)
            self._answer("completion", completion, completion.text, completion.stops)

    def _answer(
        self, kind: Kind, request: ChatRequest | CompletionRequest, prompt: str, stops: list[str]
    ) -> None:
        pieces = self.server.engine.stream(prompt, request.sampling, stops)
        if kind == "chat":
            pieces = without_leading_space(pieces)
        ident = f"{'chatcmpl' if kind == 'chat' else 'cmpl'}-{uuid.uuid4().hex}"
        about = (kind, ident, int(time.time()), self.server.model_name)
        if request.stream:
            self._stream(about, pieces, request.with_usage)
            return
        text, done = collect(pieces)
        self._send(200, reply(*about, text, done))

    def _stream(
        self,
        about: tuple[Kind, str, int, str],
        pieces: Generator[str, None, Generation],
        with_usage: bool,
    ) -> None:
        started = False
        try:
            while True:
                try:
                    text = next(pieces)  # the first may raise: then the status is still ours
                except StopIteration as end:
                    done: Generation = end.value
                    break
                started = started or self._start_stream()
                self.wfile.write(event(piece(*about, text, None)))
            started = started or self._start_stream()
            self.wfile.write(event(piece(*about, None, done.finish_reason)))
            if with_usage:
                last = piece(*about, None, None) | {"choices": [], "usage": usage(done)}
                self.wfile.write(event(last))
            self.wfile.write(event(None))
        except Exception as error:
            if not started:
                raise
            if not isinstance(error, OSError):  # too late for a status: say it in the stream
                with suppress(OSError):
                    self.wfile.write(event(error_body(str(error), "server_error")))
        finally:
            pieces.close()  # a client that has gone frees the model

    def _start_stream(self) -> bool:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")  # the end of the stream is the connection's
        self.end_headers()
        self.close_connection = True
        return True

    def _check_asker(self) -> None:
        """Refuse strangers: without the token, or web pages that reach for a loopback server."""
        token = self.server.token
        if token is not None:
            scheme, _, given = self.headers.get("Authorization", "").partition(" ")
            known = compare_digest(given.strip().encode(), token.encode())
            if not (known and scheme.lower() == "bearer"):
                raise Refusal(
                    401,
                    "a bearer token is needed",
                    "authentication_error",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            return
        if "Host" not in self.headers and self.request_version == "HTTP/1.0":
            return  # no browser speaks it
        host = self.headers.get("Host", "").rpartition(":")
        name = host[0] if host[2].isdigit() and host[0] else self.headers.get("Host", "")
        if not is_loopback(name.lower().strip("[]")):
            raise Refusal(403, f"this server answers on loopback names only, not {name!r}")

    def _refuse(self, refusal: Refusal) -> None:
        self.close_connection = True  # its body may be unread
        body = error_body(str(refusal), refusal.kind, refusal.param, refusal.code)
        with suppress(OSError):
            self._send(refusal.status, body, refusal.headers)

    def _send(
        self, status: int, value: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def place_of(target: str) -> str:
    """Return the page that a request's target means: decoded, without /v1, query and end slash.

    A target may be a whole address (of a proxy), percent-encoded or raw UTF-8.
    """
    path = urlsplit(target).path if "://" in target[:12] else target.partition("?")[0]
    decoded = unquote_to_bytes(path.encode("latin-1")).decode("utf-8", errors="replace")
    place = nfc(decoded).rstrip("/") or "/"
    return place.removeprefix("/v1") if place.startswith("/v1/") else place


def collect(pieces: Generator[str, None, Generation]) -> tuple[str, Generation]:
    """Return a stream's whole text and its sum."""
    shown = []
    while True:
        try:
            shown.append(next(pieces))
        except StopIteration as end:
            return "".join(shown), end.value


def without_leading_space(
    pieces: Generator[str, None, Generation],
) -> Generator[str, None, Generation]:
    """Pass a stream on without the white space before its first letter."""
    begun = False
    try:
        while True:
            try:
                text = next(pieces)
            except StopIteration as end:
                done: Generation = end.value
                return done
            text = text if begun else text.lstrip()
            begun = begun or bool(text)
            if text:
                yield text
    finally:
        pieces.close()
