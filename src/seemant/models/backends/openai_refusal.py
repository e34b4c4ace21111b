"""What a server's refusal means: try again, this request's fault, or the whole run's."""

import json
from collections.abc import Mapping
from typing import Any

import regex

from seemant.core.errors import InputError, NoAnswer, SeemantError, ServerDown
from seemant.models.backends.openai_address import KEY_VARIABLE, without_secrets
from seemant.models.backends.openai_wait import wished_wait

_PASSING = frozenset({408, 409, 425, 429})  # and all from 500 on, but these two:
_NEVER_ITEM = _PASSING | {401, 402, 404}  # "too many tokens" a minute is no fault of a text
_LASTING = frozenset({501, 505})
_FIXES = {
    401: f"set the server's key in {KEY_VARIABLE}",
    403: f"set the server's key in {KEY_VARIABLE}",
    404: "check the address (it often ends in /v1) and the model's name behind #",
    405: "check the address: it often ends in /v1",
    402: "the account has no credit: pay, or name another server",
}
_ITEM = regex.compile(
    r"content[ _]?(?:filter|policy|management)|responsible ?ai|moderation|flagged|safety|"
    r"context[ _](?:length|size|window)|maximum context|too (?:long|many tokens)|exceed_context",
    regex.IGNORECASE,
)
_MODEL = regex.compile(
    r"model_not_found|(?:no such|unknown|invalid) model|"
    r"model\b.{0,80}?\b(?:not found|not exist|not available|not supported|not loaded)",
    regex.IGNORECASE,
)
_SPENT = regex.compile(r"insufficient_quota|exceeded your current quota|billing", regex.IGNORECASE)


class Refused(Exception):  # never leaves this room: retried, then an error of ours
    """A try that failed in a passing way; `wait_s` is the server's own wish.

    of_item: the server answers, but holds nothing for this request.
    """

    def __init__(self, what: str, wait_s: float | None = None, *, of_item: bool = False) -> None:
        super().__init__(what)
        self.wait_s = wait_s
        self.of_item = of_item


def refusal(
    status: int, headers: Mapping[str, str], content: bytes, *, where: str, key: str | None
) -> Refused | SeemantError:
    """Return what to raise for an answer with a status that is no success.

    NoAnswer is one request's fault, InputError the address's, the key's or the model's name.
    """
    said, code = _said(content)
    if key:
        said = said.replace(key, "***")
    what = f"status {status}: {said}" if said else f"status {status}"
    whole = f"{code} {said}"
    if status == 429 and _SPENT.search(whole):
        return ServerDown(
            f"the server's quota is used up: {what}",
            where=where,
            fix="raise the quota or wait for it, then run the same command again",
        )
    if status not in _NEVER_ITEM and _ITEM.search(whole):
        return NoAnswer(what, where=where, final=True)
    if status in _PASSING or (status >= 500 and status not in _LASTING):
        return Refused(what, wished_wait(headers))
    if 300 <= status < 400:
        place = {name.lower(): value for name, value in headers.items()}.get("location", "")
        told = f" to {without_secrets(place)}" if place else ""
        return InputError(
            f"the address leads elsewhere{told}: {what}",
            where=where,
            fix="name the address to which it leads; redirects are not followed with a key",
        )
    if status in _FIXES or status >= 500 or _MODEL.search(whole):
        return InputError(
            f"the model server refuses the request: {what}",
            where=where,
            fix=_FIXES.get(status, "check the address and the model's name behind #"),
        )
    return NoAnswer(what, where=where, final=True)


def error_inside(reply: Mapping[str, Any], *, where: str, key: str | None) -> Exception | None:
    """Return what an error in place of an answer means, told with status 200; None without one."""
    error = reply.get("error")
    if not error or reply.get("choices"):
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return refusal(status, {}, json.dumps(dict(reply)).encode(), where=where, key=key)


def _said(content: bytes) -> tuple[str, str]:
    """Return the server's own words in one line, and its word for the kind of error."""
    text = " ".join(content[:4000].decode(errors="replace").split())
    code = ""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        if "<html" in text.lower() or text.lower().startswith("<!doctype"):
            text = " ".join(regex.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text).split())
        return text[:300], code
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, dict):
        code = " ".join(str(error.get(name)) for name in ("code", "type") if error.get(name))
        message = error.get("message") or error.get("detail") or value.get("message")
        text = message if isinstance(message, str) else text
        if isinstance(error.get("code"), str) and error["code"] not in text:
            text = f"{error['code']}: {text}"
    elif isinstance(error, str):
        text = error
    return " ".join(text.split())[:300], code
