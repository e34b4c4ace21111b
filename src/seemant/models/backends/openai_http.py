"""One POST to a model server: deadline, retries with backoff, errors that say what to do.

Over `http.client`, which knows no proxies and follows no redirects: the request goes to the
address that was named and nowhere else. Every request has its own connection, so a server that
closes idle ones is no fault.
"""

import gzip
import http.client
import json
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeVar

from seemant.core.errors import InputError, NoAnswer, ServerDown
from seemant.models.backends.openai_address import read_address, without_secrets
from seemant.models.backends.openai_refusal import Refused, error_inside, refusal
from seemant.models.backends.openai_wait import LONGEST_WAIT_S

_MOST_BYTES = 16 << 20  # of an answer; more is no chat completion
_START_IT = "start the server or check its address, then run the same command again"


T = TypeVar("T")


def post(
    base_url: str,
    place: str,
    body: dict[str, Any],
    read: Callable[[dict[str, Any]], T],
    *,
    key: str | None,
    timeout_s: float,
    retries: int,
) -> T:
    """Return what `read` finds in the JSON object that the server answers.

    place: what is asked under the base address, such as "chat/completions".
    read: raises `Refused` where the object does not hold what was asked for.
    timeout_s: for one whole try. retries: further tries after a passing failure; a server's own
        wish to wait is followed up to `LONGEST_WAIT_S`.

    Raises:
        NoAnswer: the server refuses this one request, or has no answer to it.
        ServerDown: no usable answer after all tries.
        InputError: the address, the key or the model's name is wrong (401, 403, 404, a redirect).
    """
    attempt = 0
    where = f"{without_secrets(base_url)}/{place}"
    while True:
        try:
            reply = _parse(_read_all(base_url, place, body, key, timeout_s))
            if (error := error_inside(reply, where=where, key=key)) is not None:
                raise error
            return read(reply)
        except Refused as error:
            if attempt == retries:
                raise _given_up(error, attempt + 1, where) from error
            wait = max(error.wait_s or 0.0, 0.5 * 2.0**attempt)
            time.sleep(min(wait, LONGEST_WAIT_S))
            attempt += 1


def _given_up(error: Refused, n: int, where: str) -> NoAnswer | ServerDown:
    if error.of_item:
        return NoAnswer(str(error), where=where)
    asked = f" (it asks to wait {error.wait_s:.0f} s)" if error.wait_s else ""
    return ServerDown(
        f"the model server failed {n} times; the last: {error}{asked}", where=where, fix=_START_IT
    )


def post_stream(
    base_url: str, place: str, body: dict[str, Any], *, key: str | None, timeout_s: float
) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a server-sent event stream. Never retried: text was shown.

    Raises:
        ServerDown, InputError, NoAnswer: as `post`; also where the stream breaks off without its
            end mark.
    """
    where = f"{without_secrets(base_url)}/{place}"
    try:
        connection, response = _send(base_url, place, body, key, timeout_s)
        with closing(connection):
            for line in _lines(response, time.monotonic() + timeout_s):
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield _parse(data)
    except Refused as error:
        raise ServerDown(f"the model server failed: {error}", where=where, fix=_START_IT) from error
    raise ServerDown("the stream broke off before its end", where=where, fix=_START_IT)


def _read_all(
    base_url: str, place: str, body: dict[str, Any], key: str | None, timeout_s: float
) -> bytes:
    deadline = time.monotonic() + timeout_s
    connection, response = _send(base_url, place, body, key, timeout_s)
    with closing(connection):
        return _unpacked(response, b"".join(_chunks(response, deadline)))


def _send(
    base_url: str, place: str, body: dict[str, Any], key: str | None, timeout_s: float
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    address = read_address(base_url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[address.scheme](address.host, address.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    where = f"{without_secrets(base_url)}/{place}"
    try:
        connection.request("POST", address.target(place), json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if not 200 <= response.status < 300:
            deadline = time.monotonic() + timeout_s
            content = _unpacked(response, b"".join(_chunks(response, deadline)))
            told = dict(response.getheaders())
            raise refusal(response.status, told, content, where=where, key=key)
    except ssl.SSLError as error:
        connection.close()
        raise _no_tls(error, where) from error
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Refused(_in_words(error, timeout_s)) from error
    except BaseException:
        connection.close()
        raise
    return connection, response


def _no_tls(error: ssl.SSLError, where: str) -> InputError | Refused:
    """Return what a failed TLS handshake means: it fails alike on every try, but for a cut."""
    said = getattr(error, "verify_message", "") or error.reason or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return InputError(
            f"the server's certificate is not trusted: {said}",
            where=where,
            fix="check the host's name; for an authority of your own set SSL_CERT_FILE",
        )
    if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
        return InputError(
            "the server does not speak TLS at this port", where=where, fix="write http://"
        )
    return Refused(f"the TLS connection failed: {said}")


def _unpacked(response: http.client.HTTPResponse, content: bytes) -> bytes:
    """Return an answer's bytes; some servers pack them without being asked."""
    kind = (response.getheader("Content-Encoding") or "identity").strip().lower()
    if kind == "identity" or not content:
        return content
    try:
        if kind in ("gzip", "x-gzip"):
            return gzip.decompress(content)
        if kind == "deflate":
            return zlib.decompress(content, 15 if content[0] & 0x0F == 8 else -15)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(f"an answer in damaged {kind}") from error
    raise Refused(f"an answer packed as {kind}, which was not asked for")


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
    except (ValueError, RecursionError) as error:
        raise Refused(f"an answer that is not JSON: {content[:80]!r}") from error
    if not isinstance(value, dict):
        raise Refused(f"an answer that is no JSON object: {content[:80]!r}")
    return value


def _in_words(error: Exception, timeout_s: float | None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s" if timeout_s else "it stopped answering"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
