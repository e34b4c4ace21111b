"""A model server's address and key: checked when they are read, and never shown whole."""

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

import regex

from seemant.core.errors import BadConfig

KEY_VARIABLE = "SEEMANT_API_KEY"
_FORM = "write http://HOST:PORT/v1#MODEL or https://HOST/v1#MODEL"
_ENDS = ("/chat/completions", "/completions", "/models")
_SECRET = regex.compile(r"key|token|secret|password|sig|auth|code", regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. path: without an end slash, percent-encoded; query: with its "?"."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str

    def target(self, place: str) -> str:
        """Return what a request line names: the path of "chat/completions" and the query."""
        return f"{self.path}/{place}{self.query}"


def read_address(text: str) -> Address:
    """Return the parts of a base address such as http://127.0.0.1:8000/v1.

    An address that ends in /chat/completions is read as its base.

    Raises:
        BadConfig: it is no http address, or it holds a password or a key.
    """
    shown = without_secrets(text)
    if any(character.isspace() or not character.isprintable() for character in text):
        raise BadConfig(f"a space or a control character in the address {shown!r}", fix=_FORM)
    try:
        parts = urlsplit(text)
        named = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise BadConfig(f"not an http address: {shown!r} ({error})", fix=_FORM) from error
    if named:
        raise BadConfig(
            f"the address {shown!r} holds a name or a password, which would be written down",
            fix=f"leave it out of the address; a key goes into {KEY_VARIABLE}",
        )
    if parts.scheme not in ("http", "https"):
        raise BadConfig(f"not an http address: {shown!r}", fix=_FORM)
    secret = next((name for name, _ in parse_qsl(parts.query) if _SECRET.search(name)), None)
    if secret is not None:
        raise BadConfig(
            f"the address carries {secret!r}, which would be written down",
            fix=f"leave it out of the address; a key goes into {KEY_VARIABLE}",
        )
    path = parts.path.rstrip("/")
    for end in _ENDS:
        path = path.removesuffix(end)
    query = f"?{parts.query}" if parts.query else ""
    return Address(
        parts.scheme,
        _host(parts.hostname, shown),
        _port(text),
        quote(path, "/%:@,;=+~!$&'()*"),
        query,
    )


def _host(host: str | None, shown: str) -> str:
    if not host:
        raise BadConfig(f"no host in the address {shown!r}", fix=_FORM)
    try:
        return host if ":" in host else host.encode("idna").decode()
    except UnicodeError as error:
        raise BadConfig(f"{host!r} is no host's name ({error})", fix=_FORM) from error


def _port(text: str) -> int | None:
    place = urlsplit(text).netloc
    try:
        port = urlsplit(text).port
    except ValueError as error:
        said = place.rpartition(":")[2]
        raise BadConfig(
            f"{said!r} is no port: ports are numbers from 1 to 65535", where=place, fix=_FORM
        ) from error
    if port == 0:
        raise BadConfig("0 is no port: ports are numbers from 1 to 65535", where=place, fix=_FORM)
    return port


def read_key() -> str | None:
    """Return the key in SEEMANT_API_KEY without white space around it, or None where there is none.

    Raises:
        BadConfig: no HTTP header can carry it. The message does not hold it.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip().strip("\ufeff\u200b")
    key = regex.sub(r"^Bearer\s+", "", key)
    for at, character in enumerate(key, start=1):
        if not "!" <= character <= "~":
            kind = "white space" if character.isspace() else "no character of a key"
            raise BadConfig(
                f"character {at} of the key is {kind}",
                where=KEY_VARIABLE,
                fix="set it anew: a key is letters, digits and marks in one piece, without quotes",
            )
    return key or None


def without_secrets(text: str) -> str:
    """Return an address as it may be shown: no name, no password, no values of its query."""
    text = regex.sub(r"//[^/\s]*@", "//***@", text)
    return regex.sub(r"([?&][^=&#\s]+=)[^&#\s]*", r"\1***", text)
