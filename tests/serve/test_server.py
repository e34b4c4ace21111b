"""The server as real clients meet it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from seemant.core.errors import BadConfig, BadFile, WorldError
from seemant.models.backends.llamacpp import LlamaCpp
from seemant.models.backends.protocol import Sampling
from seemant.models.prompts import template_of
from seemant.serve.config import ServeConfig, check_exposure
from seemant.serve.server import running

JSON = {"Content-Type": "application/json"}


def ask(
    address: str,
    path: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
    method: str | None = None,
) -> tuple[int, dict[str, Any]]:
    host = address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    method = method or ("GET" if data is None else "POST")
    connection.request(method, path, data, JSON if headers is None else headers)
    response = connection.getresponse()
    content = json.loads(response.read())
    connection.close()
    return response.status, content


def asking(text: str, **settings: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 12, **settings}


def client(address: str, **settings: Any) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, **settings)


@pytest.mark.filterwarnings("ignore")
def test_the_openai_client_gets_the_models_answer_streamed_and_not(
    address: str, tiny_gguf: Path
) -> None:
    messages = [{"role": "user", "content": "भारत की राजधानी?"}]
    with client(address) as openai:
        whole = openai.chat.completions.create(model="x", messages=messages, max_tokens=12)
        stream = openai.chat.completions.create(
            model="x",
            messages=messages,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
        events = list(stream)
        names = [model.id for model in openai.models.list()]
        text = openai.completions.create(model="x", prompt="the abc", max_tokens=5)
    with LlamaCpp(tiny_gguf, context=256) as model:
        template = template_of(tiny_gguf)
        prompt = template.render("भारत की राजधानी?", "hi")
        expected = model.generate(prompt, Sampling(max_new_tokens=12), template.stops("hi"))
        bare = model.generate("the abc", Sampling(max_new_tokens=5))
    assert whole.choices[0].message.content == expected.text.lstrip()
    assert whole.choices[0].finish_reason == expected.finish_reason
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (expected.n_prompt, 12)
    streamed = [event.choices[0] for event in events if event.choices]
    assert "".join(each.delta.content or "" for each in streamed) == expected.text.lstrip()
    assert len(streamed) > 3
    assert streamed[-1].finish_reason == expected.finish_reason
    assert events[-1].usage.completion_tokens == 12
    assert names == ["tiny"]
    assert text.choices[0].text == bare.text


def test_a_chat_template_is_used_where_the_model_has_one(chat_gguf: Path) -> None:
    talk = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "abc"},
        {"role": "assistant", "content": "the"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "the "}, {"type": "text", "text": "b"}],
        },
    ]
    with running(chat_gguf, ServeConfig(port=0, context=256), name="mine") as address:
        status, found = ask(address, "/v1/chat/completions", {"messages": talk, "max_tokens": 9})
    prompt = (
        "<system>be brief<|end|><user>abc<|end|><assistant>the<|end|><user>the b<|end|><assistant>"
    )
    with LlamaCpp(chat_gguf) as model:
        expected = model.generate(prompt, Sampling(max_new_tokens=9))
    assert (status, found["model"]) == (200, "mine")
    assert found["choices"][0]["message"]["content"] == expected.text.lstrip()
    assert found["usage"]["prompt_tokens"] == expected.n_prompt


def test_requests_at_once_get_the_answers_they_get_alone(address: str) -> None:
    questions = [f"the {letter}?" for letter in "abcdef"]
    alone = [ask(address, "/v1/chat/completions", asking(each))[1]["choices"] for each in questions]
    together: dict[str, Any] = {}

    def one(question: str) -> None:
        together[question] = ask(address, "/v1/chat/completions", asking(question))[1]["choices"]

    threads = [threading.Thread(target=one, args=(each,)) for each in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[each] for each in questions] == alone


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"{not json", 400, "JSON"),
        ({"max_tokens": 3}, 400, "messages"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, 400, "content"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, 400, "user"),
        (asking("a", temperature=9), 400, "temperature"),
        (asking("a", n=2), 400, "n:"),
        (asking("a", presence_penalty=0.5), 400, "presence_penalty"),
        (asking("a", tools=[{"type": "function"}]), 400, "tools"),
        (asking("x" * 400), 400, "context"),
    ],
)
def test_a_request_that_cannot_be_honoured_is_refused_by_name(
    address: str, body: object, status: int, word: str
) -> None:
    found, content = ask(address, "/v1/chat/completions", body)
    assert found == status
    assert word in content["error"]["message"]
    assert content["error"]["type"] == "invalid_request_error"


def test_an_answer_is_cut_to_the_room_that_is_left(address: str) -> None:
    status, found = ask(address, "/v1/chat/completions", asking("x" * 200, max_tokens=5000))
    assert status == 200
    assert found["usage"]["total_tokens"] <= 256


def test_stop_strings_and_seeds_reach_the_model(address: str) -> None:
    whole = ask(address, "/v1/completions", {"prompt": "the", "max_tokens": 12})[1]
    text = whole["choices"][0]["text"]
    request = {"prompt": "the", "max_tokens": 12, "stop": text[3:5]}
    cut = ask(address, "/v1/completions", request)[1]["choices"][0]
    assert (cut["text"], cut["finish_reason"]) == (text[: text.find(text[3:5])], "stop")
    warm = {"prompt": "the", "max_tokens": 12, "temperature": 1.5}
    texts = [
        ask(address, "/v1/completions", warm | {"seed": seed})[1]["choices"][0]["text"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_health_unknown_pages_and_wrong_methods(address: str) -> None:
    assert ask(address, "/health") == (200, {"status": "ok"})
    assert ask(address, "/v1/nothing")[0] == 404
    assert ask(address, "/v1/nothing", {})[0] == 404
    assert ask(address, "/v1/models/tiny")[1]["id"] == "tiny"
    status, content = ask(address, "/v1/models", method="DELETE", headers={})
    assert status == 405
    assert content["error"]["message"]


def test_a_token_is_asked_for(tiny_gguf: Path) -> None:
    with running(tiny_gguf, ServeConfig(port=0, token="correct-horse")) as address:
        for given in (None, "Bearer wrong-horse", "correct-horse", "Bearer क"):
            headers = JSON | ({"Authorization": given.encode()} if given else {})  # type: ignore[dict-item]
            status, content = ask(address, "/v1/chat/completions", asking("a"), headers=headers)
            assert (status, content["error"]["type"]) == (401, "authentication_error")
        headers = JSON | {"Authorization": "Bearer correct-horse", "Host": "my.name"}
        assert ask(address, "/v1/chat/completions", asking("a"), headers=headers)[0] == 200


def test_web_pages_cannot_reach_a_loopback_server(address: str) -> None:
    plain = {"Content-Type": "text/plain"}
    assert ask(address, "/v1/chat/completions", asking("a"), headers=plain)[0] == 415
    rebound = JSON | {"Host": "evil.example:80"}
    assert ask(address, "/v1/chat/completions", asking("a"), headers=rebound)[0] == 403


def test_too_large_a_body_is_refused_before_it_is_read(address: str) -> None:
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as raw:
        raw.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
        )
        assert b" 413 " in raw.recv(4096).splitlines()[0]


def test_garbage_on_the_wire_harms_nobody(address: str) -> None:
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as raw:
        raw.sendall(b"\x16\x03\x01\x00\xff" * 50 + b"\r\n\r\n")
        raw.recv(4096)
    assert ask(address, "/health")[0] == 200


def test_a_client_that_leaves_frees_the_model(tiny_gguf: Path) -> None:
    config = ServeConfig(port=0, context=512)
    with running(tiny_gguf, config) as address:
        body = json.dumps({"prompt": "the", "max_tokens": 480, "stream": True}).encode()
        port = int(address.rpartition(":")[2])
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(
                    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(body) + body
                )
                raw.recv(200)
        start = time.monotonic()
        assert ask(address, "/v1/chat/completions", asking("a"))[0] == 200
        assert time.monotonic() - start < 5


def test_a_full_queue_says_come_back(tiny_gguf: Path) -> None:
    config = ServeConfig(port=0, context=512, max_waiting=1)
    statuses: list[int] = []
    with running(tiny_gguf, config) as address:
        body = {"prompt": "the", "max_tokens": 480}
        threads = [
            threading.Thread(
                target=lambda: statuses.append(ask(address, "/v1/completions", body)[0])
            )
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200, 503}


def test_the_network_is_not_let_in_without_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "my-machine"):
        with pytest.raises(BadConfig, match="token"):
            check_exposure(ServeConfig(host=host))
        check_exposure(ServeConfig(host=host, token="long-enough"))
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        check_exposure(ServeConfig(host=host))
    with pytest.raises(BadConfig, match="8 characters"):
        check_exposure(ServeConfig(token="short"))


def test_a_taken_port_and_a_missing_model_say_so(address: str, tiny_gguf: Path) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(WorldError, match=str(port)), running(tiny_gguf, ServeConfig(port=port)):
        pass
    with pytest.raises(BadFile), running(Path("no-such.gguf"), ServeConfig(port=0)):
        pass


def test_ctrl_c_ends_it_cleanly_even_while_it_answers(tiny_gguf: Path) -> None:
    code = (
        "import signal, sys\nfrom pathlib import Path\n"
        "from seemant.serve.config import ServeConfig\nfrom seemant.serve.server import serve\n"
        # A shell's background jobs, and what they start, ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try: serve(Path(sys.argv[1]), ServeConfig(port=0, context=512))\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tiny_gguf)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = int(line.split("/v1")[0].rpartition(":")[2])
        body = json.dumps({"prompt": "the", "max_tokens": 480, "stream": True}).encode()
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(
                b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            raw.recv(100)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
        assert process.stderr.read() == ""


@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
def test_gemma_answers_the_openai_client(gemma_gguf: Path) -> None:
    with running(gemma_gguf, ServeConfig(port=0)) as address, client(address) as openai:
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        whole = openai.chat.completions.create(model="x", messages=messages, max_tokens=16)
        stream = openai.chat.completions.create(
            model="x", messages=messages, max_tokens=16, stream=True
        )
        streamed = "".join(event.choices[0].delta.content or "" for event in stream)
    assert "Paris" in whole.choices[0].message.content
    assert streamed == whole.choices[0].message.content
    assert "Question:" not in streamed
