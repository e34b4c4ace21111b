"""Requests as clients send them: paths, bodies and fields, by curl, OpenAI's client and sockets."""

import http.client
import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from seemant.serve.config import ServeConfig
from seemant.serve.server import running

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "the"}], "max_tokens": 4}
CHAT = "/v1/chat/completions"


def raw(address: str, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes and return the head and the body of the last answer to them."""
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 20) as wire:
        wire.sendall(request)
        wire.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    head, _, body = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    return head, body


def asked(address: str, method: str, path: str, body: object = None) -> tuple[int, Any, Any]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, json.loads(content) if content else None


@pytest.mark.parametrize(
    "name", ["org/मॉडल q4", "owner/name-1.5B", "50% + more?#x", "ಕನ್ನಡ", "क\u093c", "a b/c"]
)
@pytest.mark.filterwarnings("ignore")
def test_the_openai_client_retrieves_what_it_lists(name: str, tiny_gguf: Path) -> None:
    from openai import NotFoundError, OpenAI

    with running(tiny_gguf, ServeConfig(port=0), name=name) as address:
        client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        (listed,) = client.models.list().data
        assert listed.id == name and client.models.retrieve(listed.id).id == name
        assert asked(address, "GET", f"/v1/models/{quote(name)}")[2]["id"] == name
        assert asked(address, "GET", f"/v1/models/{quote(name, safe='')}/")[2]["id"] == name
        with pytest.raises(NotFoundError, match="does not exist") as caught:
            client.models.retrieve("another/model")
        assert caught.value.code == "model_not_found"


def test_a_path_may_be_whole_raw_without_v1_and_with_a_slash(address: str) -> None:
    for target in ("/v1/models/", "/models", "/v1/models?x=1", f"{address}/v1/models"):
        head, body = raw(address, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b" 200 " in head and json.loads(body)["data"][0]["id"] == "tiny"


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)


HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"0\r\nX-Sum: 1\r\n\r\n", b"000\r\n\r\n"])
def test_chunked_bodies_are_read(end: bytes, address: str) -> None:
    body = json.dumps(ASKED).encode()
    for size in (1, 7, len(body)):
        request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(body, size) + end
        head, answer = raw(address, request)
        assert b" 200 " in head and json.loads(answer)["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"zz\r\n{}\r\n0\r\n\r\n", b"400"),
        (b"-1\r\n{}\r\n0\r\n\r\n", b"400"),
        (b"2\r\n{}}\r\n0\r\n\r\n", b"400"),
        (b"5\r\n{}", b"400"),
        (b"2\r\n{}\r\n", b"400"),
        (b"fffffff\r\n{}", b"413"),
        (b"1" * 5000, b"400"),
    ],
)
def test_broken_chunks_are_refused(body: bytes, status: bytes, address: str) -> None:
    head, answer = raw(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert status in head.split(b"\r\n")[0]
    assert json.loads(answer)["error"]["message"]


def test_a_connection_is_used_again_after_a_chunked_body(address: str) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    parts = [json.dumps(ASKED).encode()[at : at + 9] for at in range(0, 200, 9)]
    for _ in range(2):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", CHAT, iter(parts), headers, encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 200 and json.loads(response.read())["choices"]
    connection.close()


NULLS = (
    *("stop", "temperature", "top_p", "tools", "tool_choice", "functions", "response_format"),
    *("seed", "n", "logprobs", "top_logprobs", "logit_bias", "stream", "stream_options", "model"),
    *("user", "max_completion_tokens", "presence_penalty", "frequency_penalty", "metadata"),
)


def test_null_is_as_good_as_absent(address: str) -> None:
    plain = asked(address, "POST", CHAT, ASKED)[2]["choices"]
    for body in (ASKED | dict.fromkeys(NULLS), *(ASKED | {name: None} for name in NULLS)):
        status, _, found = asked(address, "POST", CHAT, body)
        assert (status, found.get("choices")) == (200, plain), found
    prompt = {"prompt": "the", "max_tokens": 4}
    whole = {name: None for name in (*NULLS, "suffix", "echo", "best_of")}
    status, _, found = asked(address, "POST", "/v1/completions", prompt | whole)
    assert status == 200, found


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [], "tool_choice": "none"},
        {"stop": []},
        {"stop": [""]},
        {"n": 1, "presence_penalty": 0.0, "frequency_penalty": 0, "logit_bias": {}},
        {"response_format": {"type": "text"}},
        {"temperature": 0.9, "top_p": 0},
        {"temperature": 0, "seed": 2**63},
        {"stream_options": {"include_usage": None}},
        {"max_tokens": None, "max_completion_tokens": 4},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "the"}]}]},
        {"messages": [{"role": "user", "content": "the", "name": None}]},
    ],
)
def test_what_changes_nothing_is_taken(more: dict[str, Any], address: str) -> None:
    plain = asked(address, "POST", CHAT, ASKED)[2]["choices"]
    status, _, found = asked(address, "POST", CHAT, ASKED | more)
    assert (status, found.get("choices")) == (200, plain), found


def test_turns_as_clients_keep_them(address: str) -> None:
    turns = [
        {"role": "developer", "content": [{"type": "text", "text": "short"}]},
        {"role": "user", "content": "the"},
        {"role": "assistant", "content": None, "tool_calls": [], "refusal": None},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
    ]
    assert asked(address, "POST", CHAT, ASKED | {"messages": turns})[0] == 200
    assert (
        asked(address, "POST", "/v1/completions", {"prompt": ["the"], "max_tokens": -1})[0] == 200
    )
    marked = b"\xef\xbb\xbf" + json.dumps(ASKED).encode()
    assert asked(address, "POST", CHAT, marked)[0] == 200


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"functions": [{}]}, "functions"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_fault_comes_in_openai_s_form(more: dict[str, Any], param: str, address: str) -> None:
    from openai import BadRequestError, OpenAI

    with (
        OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(BadRequestError) as caught,
    ):
        client.post("/chat/completions", body=ASKED | more, cast_to=object)
    assert caught.value.param == param and caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"functions": [{}]}, "functions: not done here"),
        ({"tools": [{"type": "function"}]}, "tools: not done here"),
        ({"n": 3}, "n: not done here"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "chat_template_kwargs: not done"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text parts"),
    ],
)
def test_what_is_not_done_here_is_said_so(more: dict[str, Any], said: str, address: str) -> None:
    status, _, answer = asked(address, "POST", CHAT, ASKED | more)
    assert status == 400 and said in answer["error"]["message"]


def test_methods_are_told_apart(address: str) -> None:
    status, headers, content = asked(address, "HEAD", "/v1/models")
    assert (status, content) == (200, None) and int(headers["Content-Length"]) > 50
    assert asked(address, "OPTIONS", CHAT)[:2][0] == 204
    assert asked(address, "OPTIONS", CHAT)[1]["Allow"] == "POST, OPTIONS"
    for method, path, allowed in (
        ("GET", CHAT, "POST, OPTIONS"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/models", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/models/tiny", "GET, HEAD, OPTIONS"),
    ):
        status, headers, content = asked(address, method, path, {})
        assert (status, headers["Allow"]) == (405, allowed)
        assert method in content["error"]["message"]


def test_every_loopback_name_is_let_in_and_no_other(address: str) -> None:
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.8.8.8", "[::1]", "[::1]:80"):
        head, _ = raw(address, f"GET /models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b" 200 " in head, host
    for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", ""):
        head, _ = raw(address, f"GET /models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b" 403 " in head, host


def test_old_http_and_packed_bodies(address: str) -> None:
    head, body = raw(address, b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert b" 200 " in head and json.loads(body)["object"] == "list"
    head, body = raw(address, HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")
    assert b" 415 " in head and "packed" in json.loads(body)["error"]["message"]


CURL = ("-H", "Content-Type: application/json", "-d", json.dumps(ASKED))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize(
    "words",
    [
        CURL,
        ("--http1.0", *CURL),
        ("-H", "Transfer-Encoding: chunked", *CURL),
        ("-H", "Expect: 100-continue", *CURL),
        ("-H", "Connection: close", *CURL),
        ("--json", json.dumps(ASKED)),
    ],
)
def test_curl_gets_its_answer(words: tuple[str, ...], address: str) -> None:
    done = subprocess.run(
        ["curl", "-sS", "-m", "20", *words, f"{address}{CHAT}"], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["choices"][0]["finish_reason"] in ("stop", "length")
