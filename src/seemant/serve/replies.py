"""The JSON that goes back, in OpenAI's shapes."""

import json
from typing import Any, Literal

from seemant.models.backends.protocol import Generation

Kind = Literal["chat", "completion"]
_OBJECTS = {"chat": "chat.completion", "completion": "text_completion"}


def reply(
    kind: Kind, ident: str, created: int, model: str, text: str, done: Generation
) -> dict[str, Any]:
    """Return a whole answer."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": done.finish_reason, "logprobs": None}
    if kind == "chat":
        choice["message"] = {"role": "assistant", "content": text}
    else:
        choice["text"] = text
    head = {"id": ident, "object": _OBJECTS[kind], "created": created, "model": model}
    return head | {"choices": [choice], "usage": usage(done)}


def piece(
    kind: Kind, ident: str, created: int, model: str, text: str | None, reason: str | None
) -> dict[str, Any]:
    """Return one event of a stream; `text` None in the last one, which says why it ended."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason, "logprobs": None}
    if kind == "chat":
        choice["delta"] = {} if text is None else {"role": "assistant", "content": text}
    else:
        choice["text"] = text or ""
    name = "chat.completion.chunk" if kind == "chat" else _OBJECTS[kind]
    head = {"id": ident, "object": name, "created": created, "model": model}
    return head | {"choices": [choice]}


def usage(done: Generation) -> dict[str, int]:
    """Return the token counts."""
    return {
        "prompt_tokens": done.n_prompt,
        "completion_tokens": done.n_new,
        "total_tokens": done.n_prompt + done.n_new,
    }


def error_body(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return an error as OpenAI's clients expect it; `param` is the field that is wrong."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def event(value: dict[str, Any] | None) -> bytes:
    """Return a server-sent event; None is the mark of the end."""
    data = "[DONE]" if value is None else json.dumps(value, ensure_ascii=False)
    return f"data: {data}\n\n".encode()
