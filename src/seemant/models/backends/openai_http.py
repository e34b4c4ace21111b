"""One POST to a model server: deadline, retries with backoff, errors that say what to do.

Over `http.client`, which knows no proxies and follows no redirects: the request goes to the
address that was named and nowhere else.
"""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from seemant.core.errors import InputError, ServerDown

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # statuses worth another try
_MOST_BYTES = 16 << 20  # of an answer; more is no chat completion
_LONGEST_WAIT_S = 30.0
_START_IT = "start the server or check its address, then run the same command again"


T = TypeVar("T")


class Refused(Exception):  # never leaves this room: retried, then a ServerDown
    """A try that failed in a passing way; `wait_s` is the server's own wish."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


def post(
    url: str,
    body: dict[str, Any],
    read: Callable[[dict[str, Any]], T],
    *,
    key: str | None,
    timeout_s: float,
    retries: int,
) -> T:
    """Return what `read` finds in the JSON object that the server answers.

    read: raises `Refused` where the object does not hold what was asked for.
    timeout_s: for one whole try. retries: further tries after a passing failure.

    Raises:
        ServerDown: no usable answer after all tries.
        InputError: the server refused the request itself (400, 401, 404 and their kind).
    """
    attempt = 0
    while True:
        try:
            return read(_parse(_read_all(url, body, key, timeout_s)))
        except Refused as error:
            if attempt == retries:
                raise ServerDown(
                    f"the model server failed {attempt + 1} times; the last: {error}",
                    where=url,
                    fix=_START_IT,
                ) from error
            wait = error.wait_s if error.wait_s is not None else 0.5 * 2.0**attempt
            time.sleep(min(wait, _LONGEST_WAIT_S))
            attempt += 1


def post_stream(
    url: str, body: dict[str, Any], *, key: str | None, timeout_s: float
) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a server-sent event stream. Never retried: text was shown.

    Raises:
        ServerDown, InputError: as `post`; also where the stream breaks off without its end mark.
    """
    try:
        connection, response = _send(url, body, key, timeout_s)
        try:
            for line in _lines(response, time.monotonic() + timeout_s):
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield _parse(data)
        finally:
            connection.close()
    except Refused as error:
        raise ServerDown(f"the model server failed: {error}", where=url, fix=_START_IT) from error
    raise ServerDown("the stream broke off before its end", where=url, fix=_START_IT)


def _read_all(url: str, body: dict[str, Any], key: str | None, timeout_s: float) -> bytes:
    deadline = time.monotonic() + timeout_s
    connection, response = _send(url, body, key, timeout_s)
    try:
        return b"".join(_chunks(response, deadline))
    finally:
        connection.close()


def _send(
    url: str, body: dict[str, Any], key: str | None, timeout_s: float
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise InputError(
            f"not an http address: {url!r}", fix="write http://HOST:PORT/v1 or https://..."
        )
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request("POST", parts.path, json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if response.status != 200:
            deadline = time.monotonic() + timeout_s
            _refuse(url, response, b"".join(_chunks(response, deadline)))
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Refused(_in_words(error, timeout_s)) from error
    except BaseException:
        connection.close()
        raise
    return connection, response


def _refuse(url: str, response: http.client.HTTPResponse, content: bytes) -> None:
    said = content[:300].decode(errors="replace").strip()
    what = f"status {response.status}: {said}" if said else f"status {response.status}"
    if response.status in _PASSING:
        wish = response.getheader("Retry-After", "")
        raise Refused(what, float(wish) if wish.isdigit() else None)
    fixes = {
        401: "set the server's key in SEEMANT_API_KEY",
        403: "set the server's key in SEEMANT_API_KEY",
        404: "check the address (it often ends in /v1) and the model's name behind #",
    }
    raise InputError(
        f"the model server refuses the request: {what}",
        where=url,
        fix=fixes.get(response.status, "check the address and the request's settings"),
    )


def _chunks(response: http.client.HTTPResponse, deadline: float) -> Iterator[bytes]:
    """Yield the body as it comes; a server that drips past the deadline counts as hanging."""
    total = 0
    while True:
        try:
            chunk = response.read1(65536)
        except (OSError, http.client.HTTPException) as error:
            raise Refused(_in_words(error, None)) from error
        if not chunk:
            return
        total += len(chunk)
        if total > _MOST_BYTES:
            raise Refused("an answer of more than 16 MiB")
        if time.monotonic() > deadline:
            raise Refused("the answer took too long")
        yield chunk


def _lines(response: http.client.HTTPResponse, deadline: float) -> Iterator[bytes]:
    rest = b""
    for chunk in _chunks(response, deadline):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    yield rest


def _parse(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise Refused(f"an answer that is not JSON: {content[:80]!r}") from error
    if not isinstance(value, dict):
        raise Refused(f"an answer that is no JSON object: {content[:80]!r}")
    return value


def _in_words(error: Exception, timeout_s: float | None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s" if timeout_s else "it stopped answering"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
