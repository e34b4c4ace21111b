"""A request's body, in the ways in which clients send it: with its length, or in chunks."""

from email.message import Message
from io import BufferedIOBase

from seemant.serve.requests import Refusal

MOST_BYTES = 1 << 20  # of a request's body
_LONGEST_LINE = 256  # a chunk's size with its extensions; a trailer
_MOST_TRAILERS = 32
_BOM = b"\xef\xbb\xbf"


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Return the body of a request for JSON, without a byte order mark.

    Raises:
        Refusal: 415, no JSON or packed; 411, 413, 400: without a length, too large, cut off.
    """
    kind = headers.get_content_type()
    if kind != "application/json":  # a web page cannot send this without asking first
        raise Refusal(415, f"the body must be application/json, not {kind}")
    packing = headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("", "identity"):
        raise Refusal(415, f"the body must not be packed ({packing})")
    coding = headers.get("Transfer-Encoding", "").strip().lower()
    if coding == "chunked":
        return _chunked(stream).removeprefix(_BOM)
    if coding:
        raise Refusal(501, f"transfer encoding {coding!r} is not known here")
    length = headers.get("Content-Length", "").strip()
    if not (length.isascii() and length.isdigit()):
        raise Refusal(411, "Content-Length is missing")
    if int(length) > MOST_BYTES:
        raise Refusal(413, f"the body has {length} bytes; {MOST_BYTES} are the most")
    return _exactly(stream, int(length)).removeprefix(_BOM)


def _chunked(stream: BufferedIOBase) -> bytes:
    """Return a body in chunks (RFC 9112, 7.1): sizes in hexadecimal, a last one of 0, trailers."""
    body = b""
    while True:
        size = _size(_line(stream))
        if size == 0:
            break
        if len(body) + size > MOST_BYTES:
            raise Refusal(413, f"the body has more than {MOST_BYTES} bytes")
        body += _exactly(stream, size)
        if _line(stream):
            raise Refusal(400, "a chunk of the body is longer than it says")
    for _ in range(_MOST_TRAILERS):
        if not _line(stream):
            return body
    raise Refusal(400, "too many trailers behind the body")


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise Refusal(400, "a chunk of the body does not begin with its size")
    return int(digits, 16)


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise Refusal(400, "the body breaks off, or a line in it is too long")
    return line.rstrip(b"\r\n")


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Refusal(400, f"the body breaks off after {len(data)} of {size} bytes")
    return data
