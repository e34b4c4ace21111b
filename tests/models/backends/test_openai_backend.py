"""The OpenAI-compatible backend against servers that behave, fail, babble, hang and drip."""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from seemant.core.errors import InputError, NoAnswer, ServerDown
from seemant.models.backends import openai_http
from seemant.models.backends.open import open_backend
from seemant.models.backends.openai_backend import OpenAI
from seemant.models.backends.openai_wait import LONGEST_WAIT_S
from seemant.models.backends.protocol import STUDY_SAMPLING, Sampling

sleep = time.sleep  # the servers' own: the client's is replaced below
Reply = Callable[[BaseHTTPRequestHandler], None]
SAID = {
    "choices": [{"message": {"role": "assistant", "content": "नई दिल्ली"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 4},
}


@contextmanager
def server(*replies: Reply) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve the replies one after the other, the last for ever; give the address and requests."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({"path": self.path, "key": self.headers["Authorization"], **body})
            with suppress(OSError):  # the client has given up, as it should
                replies[min(len(seen), len(replies)) - 1](self)
            self.close_connection = True

        def log_message(self, *given: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1", seen
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def says(content: bytes, status: int = 200, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def streams(*lines: str) -> Reply:
    return says("".join(f"{line}\n\n" for line in lines).encode(), Content_Type="text/event-stream")


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        sleep(0.05)


good = says(json.dumps(SAID).encode())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(openai_http.time, "sleep", waits.append)
    return waits


def backend(url: str, **settings: Any) -> OpenAI:
    return OpenAI(base_url=url, model="m", **({"timeout_s": 0.3, "retries": 2} | settings))


def test_an_answer_comes_with_its_counts() -> None:
    with server(good) as (url, seen):
        found = backend(url).generate("भारत की राजधानी?", STUDY_SAMPLING, ["\n"])
    assert (found.text, found.finish_reason, found.n_prompt, found.n_new) == (
        "नई दिल्ली",
        "stop",
        11,
        4,
    )
    (request,) = seen
    assert request["path"] == "/v1/chat/completions"
    assert request["messages"] == [{"role": "user", "content": "भारत की राजधानी?"}]
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.3, 0.9, 32)
    assert (request["stop"], request["repetition_penalty"], request["key"]) == (["\n"], 1.1, None)


def test_completions_send_the_bare_prompt() -> None:
    said = {"choices": [{"text": " Delhi", "finish_reason": "length"}]}
    with server(says(json.dumps(said).encode())) as (url, seen):
        found = backend(url, api="completions").generate("Capital:", Sampling())
    assert (found.text, found.finish_reason) == (" Delhi", "length")
    assert (seen[0]["path"], seen[0]["prompt"]) == ("/v1/completions", "Capital:")


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEMANT_API_KEY", "secret")
    with server(good) as (url, seen):
        backend(url).generate("a", Sampling())
    assert seen[0]["key"] == "Bearer secret"


def test_no_proxy_is_ever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with server(good) as (url, _):
        assert backend(url).generate("a", Sampling()).text == "नई दिल्ली"


@pytest.mark.parametrize(
    "failure",
    [
        says(b"boom", 500),
        says(b"busy", 503),
        says(b"slow down", 429),
        says(b"<html>not json"),
        says(b"[1, 2]"),
        says(b'{"choices": []}'),
        says(b'{"choices": [{"message": {"content": null}}]}'),
        drips,
        says(b"\xff\xfe\x00garbage"),
    ],
)
def test_a_passing_failure_is_tried_again(failure: Reply) -> None:
    with server(failure, failure, good) as (url, seen):
        assert backend(url).generate("a", Sampling()).text == "नई दिल्ली"
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("failure", "word"),
    [(says(b"boom", 500), "boom"), (says(b"<html>"), "not JSON"), (drips, "too long")],
)
def test_a_lasting_failure_says_where_and_what_to_do(failure: Reply, word: str) -> None:
    with server(failure) as (url, seen), pytest.raises(ServerDown, match=word) as caught:
        backend(url).generate("a", Sampling())
    assert len(seen) == 3
    assert caught.value.exit_code == 1
    assert caught.value.where == f"{url}/chat/completions"
    assert caught.value.fix


def test_a_server_that_hangs_is_given_up() -> None:
    def hang(handler: BaseHTTPRequestHandler) -> None:
        sleep(0.8)

    with server(hang) as (url, _), pytest.raises(ServerDown, match=r"no answer within 0.2 s"):
        backend(url, timeout_s=0.2, retries=1).generate("a", Sampling())


def test_a_server_that_is_not_there_is_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(ServerDown, match="failed 3 times"):
            backend(url).generate("a", Sampling())


def test_waiting_grows_and_follows_the_servers_wish(_no_waiting: list[float]) -> None:
    wish = says(b"later", 429, Retry_After="7")
    with server(says(b"", 500), wish, says(b"", 500), good) as (url, _):
        backend(url, retries=3).generate("a", Sampling())
    assert _no_waiting == [0.5, 7.0, 2.0]


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refused_request_is_not_repeated(status: int) -> None:
    with server(says(b"no such model", status)) as (url, seen):
        with pytest.raises(InputError, match=f"{status}: no such model"):
            backend(url).generate("a", Sampling())
        assert len(seen) == 1


def test_an_absurd_wish_is_bounded(_no_waiting: list[float]) -> None:
    with server(says(b"", 429, Retry_After="86400"), good) as (url, _):
        backend(url).generate("a", Sampling())
    assert _no_waiting == [LONGEST_WAIT_S]


def test_one_request_that_is_refused_is_no_fault_of_the_run() -> None:
    with (
        server(says(b'{"error": {"code": "content_filter"}}', 400)) as (url, seen),
        pytest.raises(NoAnswer, match="content_filter") as caught,
    ):
        backend(url).generate("a", Sampling())
    assert caught.value.final and len(seen) == 1
    with server(says(b'{"choices": []}')) as (url, seen), pytest.raises(NoAnswer):
        backend(url).generate("a", Sampling())
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("said", "left_out"),
    [
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0.3 with this model.", "temperature"),
        ('[{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]', "seed"),
        ("repetition_penalty: unknown field", "repetition_penalty"),
    ],
)
def test_a_setting_that_the_server_refuses_is_left_out_from_then_on(
    said: str, left_out: str
) -> None:
    refusing = says(json.dumps({"error": {"message": said}}).encode(), 400)
    with server(refusing, good) as (url, seen):
        model = backend(url)
        for _ in range(2):
            assert model.generate("a", STUDY_SAMPLING).text == "नई दिल्ली"
    assert left_out in seen[0] and len(seen) == 3
    for request in seen[1:]:
        assert left_out not in request and "messages" in request
    if left_out == "max_tokens":
        assert seen[2]["max_completion_tokens"] == 32


def test_a_refusal_that_names_no_setting_is_no_reason_to_leave_one_out() -> None:
    refusing = says(b'{"error": {"message": "seed: not permitted"}}', 422)
    with server(refusing) as (url, seen), pytest.raises(NoAnswer, match="not permitted"):
        backend(url).generate("a", Sampling())
    assert len(seen) == 2  # once without the seed


@pytest.mark.parametrize(
    ("kind", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("", bytes)],
)
def test_answers_packed_unasked_are_read(kind: str, pack: Callable[[bytes], bytes]) -> None:
    packed = says(pack(json.dumps(SAID).encode()), Content_Encoding=kind)
    with server(packed) as (url, _):
        assert backend(url).generate("a", Sampling()).text == "नई दिल्ली"


def test_chunked_answers_are_read() -> None:
    def chunked(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for byte in json.dumps(SAID).encode():
            handler.wfile.write(b"1\r\n" + bytes([byte]) + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    with server(chunked) as (url, _):
        assert backend(url).generate("a", Sampling()).text == "नई दिल्ली"


def test_tls_where_there_is_none_is_said_at_once() -> None:
    with server(good) as (url, seen), pytest.raises(InputError, match="does not speak TLS"):
        backend(url.replace("http:", "https:")).generate("a", Sampling())
    assert not seen


def test_a_stream_gives_pieces_and_a_sum() -> None:
    def event(text: str, reason: str | None = None) -> str:
        choice = {"delta": {"content": text}, "finish_reason": reason}
        return "data: " + json.dumps({"choices": [choice]})

    usage = 'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}'
    reply = streams(": hello", event("नई "), event("दिल्ली", "stop"), usage, "data: [DONE]")
    with server(reply) as (url, seen):
        pieces = backend(url).generate_stream("a", Sampling())
        shown = []
        while True:
            try:
                shown.append(next(pieces))
            except StopIteration as end:
                whole = end.value
                break
    assert seen[0]["stream"] is True
    assert shown == ["नई ", "दिल्ली"]
    assert (whole.text, whole.finish_reason, whole.n_prompt, whole.n_new) == (
        "नई दिल्ली",
        "stop",
        3,
        2,
    )


def test_a_stream_that_breaks_off_is_an_error() -> None:
    reply = streams('data: {"choices": [{"delta": {"content": "a"}}]}')
    with server(reply) as (url, _), pytest.raises(ServerDown, match="broke off"):
        list(backend(url).generate_stream("a", Sampling()))


def test_what_a_server_cannot_do_is_said() -> None:
    model = backend("http://127.0.0.1:9/v1")
    for call in (
        lambda: model.encode("a"),
        lambda: model.loglikelihood("a", ["b"]),
        lambda: model.logprobs([1, 2], 1),
    ):
        with pytest.raises(InputError, match="cannot"):
            call()


def test_addresses_are_read_and_bad_ones_refused() -> None:
    with open_backend("openai:http://h:1/v1/#m/n", kind="openai") as model:
        assert (model.name, model) == ("openai", OpenAI(base_url="http://h:1/v1", model="m/n"))
    with pytest.raises(InputError):
        OpenAI.from_address("http://h:1/v1")
    with pytest.raises(InputError, match="http address"):
        OpenAI(base_url="ftp://h", model="m").generate("a", Sampling())
