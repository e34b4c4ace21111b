"""Settings that a server refuses, left out or said otherwise: not all know all of OpenAI's."""

from typing import Any

import regex

_MAY_GO = ("seed", "repetition_penalty", "top_p", "temperature", "stop", "stream_options")
_REFUSED = regex.compile(
    r"unsupported|not supported|does ?n[o']t support|unknown|unrecogni[sz]ed|unexpected|extra|"
    r"not permitted|not allowed|deprecated|only the default|cannot both",
    regex.IGNORECASE,
)


def mended(body: dict[str, Any], said: str) -> tuple[dict[str, Any], str] | None:
    """Return the request without the setting that a server's refusal names, and its name.

    `max_tokens` is said as `max_completion_tokens` where the server names that. None where the
    refusal names no setting of the request that could go.
    """
    if "max_tokens" in body and "max_completion_tokens" in said:
        rest = {name: value for name, value in body.items() if name != "max_tokens"}
        return rest | {"max_completion_tokens": body["max_tokens"]}, "max_tokens"
    if not _REFUSED.search(said):
        return None
    for name in _MAY_GO:
        if name in body and regex.search(rf"\b{name}\b", said):
            return {key: value for key, value in body.items() if key != name}, name
    return None
