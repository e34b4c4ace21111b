"""Paragraphs in three languages, and a model server on loopback that misbehaves to order."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from seemant.core.records import Paragraph

RIVERS = ["Tavi", "Sarla", "Korin", "Belma", "Dhusa", "Ilwen", "Morva", "Nesta", "Purna", "Reva"]
RIVERS += ["Salix", "Tunga", "Varda", "Yelka", "Zorin", "Ambri", "Chola", "Ekta", "Fenna", "Gomi"]


def paragraph(at: int) -> Paragraph:
    """An English paragraph that holds a question and an answer of its own."""
    river = RIVERS[at]
    text = f"The river {river} rises near the village of {river}ford and is {100 + at} km long."
    return Paragraph(id=f"en-{at:04}", lang="en", text=text)


def good_answer(text: str) -> str:
    """What a good teacher replies to the request for such a paragraph."""
    river = re.search(r"river (\w+)", text)
    length = re.search(r"(\d+) km", text)
    assert river and length
    pair = {"instruction": f"How many kilometres long is the river {river[1]}?"}
    return json.dumps(pair | {"output": f"{length[1]} km"})


@dataclass
class Server:
    """A running server: its teacher's reference, and each request's paragraph as it came."""

    teacher: str
    asked: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)


Behaviour = Callable[[str, int], tuple[int, str] | str]
"""From a paragraph and the number of earlier requests: the model's words, or (status, body)."""


@contextmanager
def serving(behaviour: Behaviour, *, delay_s: float = 0.0) -> Iterator[Server]:
    server = Server("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/chat/completions" and body["model"] == "m"
            text = body["messages"][-1]["content"].rpartition("Paragraph:\n")[2]
            n = len(server.asked)
            server.asked.append(text)
            time.sleep(delay_s)
            made = behaviour(text, n)
            status, content = made if isinstance(made, tuple) else (200, completion(made))
            data = content.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            server.answered.append(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False  # a hanging request must not hold the test up

        def handle_error(self, *_: Any) -> None:  # the client of a killed run is gone
            pass

    http = Quiet(("127.0.0.1", 0), Handler)
    server.teacher = f"openai:http://127.0.0.1:{http.server_address[1]}/v1#m"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def completion(text: str) -> str:
    """An OpenAI chat completion that says `text`."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})
