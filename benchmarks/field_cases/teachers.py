"""Further teachers that misbehave, for `servers.py`: behaviours and the loopback server."""

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[str, int, str], Any]
"""From a paragraph, the number of earlier requests and a good reply's text: the text to say, or
(status, content, headers); content is text said by the model (200), JSON or raw bytes."""

THIRD = "तिरली"


def third(answer: Any) -> Behaviour:
    """Answer so for one paragraph, well for the others."""
    return lambda text, n, good: answer if THIRD in text else good


def message(
    content: Any, finish: str | None = "stop", **more: Any
) -> tuple[int, Any, dict[str, str]]:
    """Return an answer with such a message."""
    said = {"role": "assistant", "content": content, **more}
    return 200, {"choices": [{"index": 0, "message": said, "finish_reason": finish}]}, {}


def each(make: Callable[[str], Any]) -> Behaviour:
    """Answer every paragraph with what is made of its good reply."""
    return lambda text, n, good: make(good)


def once(answer: Any) -> Behaviour:
    """Answer so the first time, well afterwards."""
    return lambda text, n, good: answer if n == 0 else good


def _single(good: str) -> str:
    return good.replace('"', "'")


def _truncated(good: str) -> tuple[int, Any, dict[str, str]]:
    return message(good[: len(good) - 12], "length")


MISBEHAVIOUR: list[Any] = [
    ("4", "413", third((413, {"error": {"message": "prompt too large"}}, {})), 5, "413"),
    ("4", "422 in detail", third((422, {"detail": "text is flagged"}, {})), 5, "flagged"),
    (
        "4",
        "403 by moderation",
        third(
            (403, {"error": {"code": 403, "message": "your input was flagged by moderation"}}, {})
        ),
        5,
        "flagged",
    ),
    (
        "4",
        "500 for its length",
        third(
            (
                500,
                {
                    "error": {
                        "type": "exceed_context_size_error",
                        "message": "the request exceeds the context size",
                    }
                },
                {},
            )
        ),
        5,
        "context",
    ),
    (
        "4",
        "an error with status 200",
        third((200, {"error": {"code": 400, "message": "bad word"}}, {})),
        5,
        "bad word",
    ),
    ("5", "null and stop", third(message(None)), 5, "no_answer"),
    ("5", "empty text", third(message("")), 5, "no_answer"),
    ("5", "a refusal", third(message(None, refusal="I cannot help.")), 5, "I cannot help."),
    (
        "5",
        "a refusal part",
        third(message([{"type": "refusal", "refusal": "Not that."}])),
        5,
        "Not that.",
    ),
    ("5", "a tool call", third(message(None, "tool_calls", tool_calls=[{"id": "1"}])), 5, "tool"),
    ("5", "no choices", third((200, {"choices": []}, {})), 5, "no_answer"),
    (
        "5",
        "no message",
        third((200, {"choices": [{"index": 0, "finish_reason": "stop"}]}, {})),
        5,
        "no_answer",
    ),
    ("5", "thinking without end", third("<think>\nपहले सोचते हैं"), 5, "thinking"),
    ("5", "words", third("I would rather not."), 5, "garbage"),
    ("6", "closed by itself", each(lambda good: f"मसौदा {{}}\n</think>\n{good}"), 6),
    ("6", "[THINK]", each(lambda good: f"[THINK]{good.replace('नावें', 'हाथी')}[/THINK]{good}"), 6),
    (
        "6",
        "channels",
        each(
            lambda good: (
                f"<|channel|>analysis<|message|>{good[:30]}<|end|><|start|>assistant<|channel|>final<|message|>{good}"
            )
        ),
        6,
    ),
    (
        "6",
        "reasoning beside",
        each(lambda good: message(good, reasoning_content='{"instruction": "x", "output": "y"}')),
        6,
    ),
    ("7", "single quotes", each(_single), 6),
    ("7", "no last brace", each(lambda good: good[:-1]), 6),
    ("7", "a fence and words", each(lambda good: f"ज़रूर!\n```json\n{good}\n```\nऔर?"), 6),
    (
        "7",
        "the form first",
        each(lambda good: '{"instruction": "the question", "output": "the answer"}\n' + good),
        6,
    ),
    ("7", "cut", lambda text, n, good: _truncated(good) if THIRD in text else good, 5, "JSON"),
    ("8", "parts of texts", each(lambda good: message([good[:20], good[20:]])), 6),
    ("8", "output_text", each(lambda good: message([{"type": "output_text", "text": good}])), 6),
    ("8", "one part, no list", each(lambda good: message({"type": "text", "text": good})), 6),
    (
        "8",
        "reasoning part",
        each(
            lambda good: message(
                [{"type": "reasoning", "text": "{}"}, {"type": "text", "text": good}]
            )
        ),
        6,
    ),
    ("9", "an absurd wait", once((429, "slow", {"Retry-After": "-5"})), 6),
    ("9", "no sense", once((429, "slow", {"Retry-After": "soon"})), 6),
    ("9", "NaN", once((503, "busy", {"Retry-After": "NaN"})), 6),
    (
        "http",
        "gzip unasked",
        each(
            lambda good: (
                200,
                gzip.compress(json.dumps(message(good)[1]).encode()),
                {"Content-Encoding": "gzip"},
            )
        ),
        6,
    ),
    ("http", "a cut answer", once((200, b'{"choices": [', {})), 6),
    ("http", "502 in HTML", once((502, b"<html><h1>Bad Gateway</h1></html>", {})), 6),
    ("http", "Cloudflare's 524", once((524, b"timeout", {})), 6),
    ("http", "a dropped connection", once("DROP"), 6),
    (
        "http",
        "usage of words",
        each(lambda good: (200, message(good)[1] | {"usage": {"prompt_tokens": "many"}}, {})),
        6,
    ),
]


@contextmanager
def teaching(behaviour: Behaviour, seen: list[str | None] | None = None) -> Iterator[str]:
    """Give the reference of a teacher that behaves so; `seen` gets each request's key."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = body["messages"][-1]["content"].rpartition("Paragraph:\n")[2]
            if seen is not None:
                seen.append(self.headers["Authorization"])
            made = behaviour(text, len(asked), _good(text))
            asked.append(text)
            if made == "DROP":
                self.close_connection = True
                return
            status, content, headers = message(made) if isinstance(made, str) else made
            if isinstance(content, str) and status == 200:
                content = message(content)[1]
            data = (
                content
                if isinstance(content, bytes)
                else content.encode()
                if isinstance(content, str)
                else json.dumps(content).encode()
            )
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"openai:http://127.0.0.1:{server.server_port}/v1#m"
    finally:
        server.shutdown()
        server.server_close()


def _good(text: str) -> str:
    canal, boats = re.search(r"नहर ([\u0900-\u097f]+)", text), re.search(r"साल में (\d+)", text)
    assert canal and boats
    pair = {"instruction": f"{canal[1]} नहर साल में कितनी नावें ले जाती है?"}
    return json.dumps(pair | {"output": f"{boats[1]} नावें"}, ensure_ascii=False)
