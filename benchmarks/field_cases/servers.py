"""Teachers as servers behave, and our own server as clients ask."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

from field_cases.place import Case, Done, Place, refused, serving, went_well
from field_cases.teachers import MISBEHAVIOUR, Behaviour, teaching

Check = Callable[[Place], str | None]
KEY = "sk-invented-5417"


def _distil(place: Place, teacher: str, *more: str, key: str | None = None) -> Done:
    env = {} if key is None else {"SEEMANT_API_KEY": key}
    words = ("--languages", "hi", "--out", "w/d", *more)
    return place.seemant("distill", "paragraphs.jsonl", "--teacher", teacher, *words, env=env)


def _count(place: Place, name: str) -> int:
    return len((place.w / "d" / name).read_text().splitlines())


def _gives(place: Place, done: Done, pairs: int, *dropped: str) -> str | None:
    """Say what is wrong where not so many pairs came and the rest was dropped in these words."""
    if wrong := went_well(done):
        return wrong
    n, text = _count(place, "pairs.jsonl"), (place.w / "d" / "dropped.jsonl").read_text()
    if n != pairs:
        return f"{n} pairs, not {pairs}: {text[-300:]}"
    missing = [word for word in dropped if word not in text]
    return f"no {missing} in dropped.jsonl: {text[-300:]}" if missing else None


def _shared(mode: str, pairs: int, *dropped: str, more: tuple[str, ...] = ()) -> Check:
    def check(place: Place) -> str | None:
        with place.teacher(mode) as teacher:
            done = _distil(place, teacher, *more)
            again = _distil(place, teacher, *more)
        return _gives(place, done, pairs, *dropped) or went_well(again)

    return check


def _own(behaviour: Behaviour, pairs: int, *dropped: str) -> Check:
    """One of our own misbehaving teachers: so many pairs, the rest dropped in these words."""

    def check(place: Place) -> str | None:
        with teaching(behaviour) as teacher:
            return _gives(place, _distil(place, teacher, "--workers", "1"), pairs, *dropped)

    return check


def _stops(behaviour: Behaviour, code: int, *words: str) -> Check:
    def check(place: Place) -> str | None:
        with teaching(behaviour) as teacher:
            done = _distil(place, teacher, "--workers", "1", "--retries", "1", key=KEY)
        if KEY in done.said:
            return "the key is in the message"
        if code == 2:
            return refused(done, *words)
        missing = [word for word in words if word not in done.said]
        return (
            None if done.code == code and not missing else f"exit {done.code}: {done.said[-300:]}"
        )

    return check


def _waits(mode: str, least_s: float) -> Check:
    def check(place: Place) -> str | None:
        began = time.monotonic()
        with place.teacher(mode) as teacher:
            done = _distil(place, teacher, "--workers", "1")
        waited = time.monotonic() - began
        if waited < least_s:
            return f"only {waited:.0f} s: {done.said[-200:]}"
        return _gives(place, done, 6)

    return check


def _waits_own(form: Callable[[float], dict[str, str]]) -> Check:
    """A teacher that is closed for four seconds and says so in this form."""

    def check(place: Place) -> str | None:
        opens = time.time() + 5.0

        def behaviour(text: str, n: int, good: str) -> tuple[int, Any, dict[str, str]]:
            left = opens - time.time()
            return (429, {"error": "slow down"}, form(left)) if left > 0 else (200, good, {})

        with teaching(behaviour) as teacher:
            return _gives(place, _distil(place, teacher, "--workers", "1"), 6)

    return check


def _key(key: str, *, used: bool) -> Check:
    def check(place: Place) -> str | None:
        seen: list[str | None] = []
        with teaching(lambda text, n, good: good, seen) as teacher:
            done = _distil(place, teacher, key=key)
        secret = key.strip().removeprefix("Bearer ")
        written = [
            p for p in place.w.rglob("*") if p.is_file() and secret in p.read_text(errors="replace")
        ]
        if secret in done.said or written:
            return "the key was written down"
        if not used:
            return refused(done, "SEEMANT_API_KEY")
        if set(seen) != {f"Bearer {secret}"}:
            return f"the server got {seen[:1]}"
        return _gives(place, done, 6)

    return check


def _address(address: str, *words: str) -> Check:
    def check(place: Place) -> str | None:
        done = _distil(place, address)
        if "hunter2" in done.said or any(
            "hunter2" in p.read_text() for p in place.w.rglob("*.json*")
        ):
            return "a password was written down"
        return refused(done, *words)

    return check


@contextmanager
def _serving(place: Place, name: str) -> Iterator[str]:
    """Serve the tiny model of the shared script; give the address."""
    place.python("gguf_kinds.py", "w/g")
    with serving(place, "w/g/tiny.gguf", "--name", name, "--context", "256") as address:
        yield address.removesuffix("/v1")


def _retrieved(name: str) -> Check:
    def check(place: Place) -> str | None:
        from openai import OpenAI

        with _serving(place, name) as address:
            client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
            found = client.models.retrieve(client.models.list().data[0].id)
        return None if found.id == name else f"got {found.id!r}"

    return check


def _curl(*words: str, holds: str) -> Check:
    """Ask our server by curl; URL is its address."""

    def check(place: Place) -> str | None:
        with _serving(place, "tiny") as address:
            made = [word.replace("URL", address) for word in words]
            done = place.run(["curl", "-s", "-m", "20", "-i", *made])
        return None if holds in done.out else f"no {holds!r} in {done.out[-400:]!r}"

    return check


def _body(**more: Any) -> str:
    return json.dumps({"messages": [{"role": "user", "content": "the"}], "max_tokens": 3, **more})


JSON = ("-H", "Content-Type: application/json")
CHAT = "URL/v1/chat/completions"
NULLS = dict.fromkeys(
    (
        "stop",
        "temperature",
        "top_p",
        "tools",
        "tool_choice",
        "response_format",
        "seed",
        "n",
        "logprobs",
        "logit_bias",
        "stream",
        "stream_options",
        "model",
        "user",
        "max_completion_tokens",
    ),
)

CASES = [
    Case("3", "a key with a line end", _key(f"{KEY}\n", used=True)),
    Case("3", "a key with Windows' line end", _key(f" {KEY}\r\n", used=True)),
    Case("3", "a key with Bearer before it", _key(f"Bearer {KEY}", used=True)),
    Case("3", "a key with a line end inside", _key("sk-inv\nented", used=False)),
    Case("3", "a key that is no ASCII", _key("sk-कुंजी", used=False)),
    Case("3", "a key with a space", _key("sk inv ented", used=False)),
    Case("4", "filter400", _shared("filter400", 5, "content_filter")),
    Case("4", "toolong400", _shared("toolong400", 5, "maximum context length")),
    Case("5", "nullthink", _shared("nullthink", 5, "no_answer", "thought")),
    Case("5", "filternull", _shared("filternull", 5, "content_filter")),
    Case("6", "draft", _shared("draft", 6)),
    Case("6", "draft2", _shared("draft2", 6)),
    Case("7", "newline", _shared("newline", 6)),
    Case("7", "comma", _shared("comma", 6)),
    Case("8", "parts", _shared("parts", 6)),
    Case("9", "httpdate", _waits("httpdate", 10)),
    Case("9", "fraction", _waits("fraction", 10)),
    Case("9", "milliseconds", _waits_own(lambda left: {"retry-after-ms": str(int(left * 1000))})),
    Case("9", "a span", _waits_own(lambda left: {"x-ratelimit-reset-requests": f"{left:.2f}s"})),
    Case(
        "9",
        "a date in GMT",
        _waits_own(lambda left: {"Retry-After": formatdate(time.time() + left + 1, usegmt=True)}),
    ),
    Case("9", "whole seconds", _waits_own(lambda left: {"Retry-After": str(int(left) + 1)})),
    *[
        Case(number, form, _own(behaviour, pairs, *dropped))
        for number, form, behaviour, pairs, *dropped in MISBEHAVIOUR
    ],
    Case(
        "4",
        "401 stops",
        _stops(
            lambda t, n, g: (401, {"error": {"message": f"wrong key {KEY}"}}, {}),
            2,
            "SEEMANT_API_KEY",
        ),
    ),
    Case("4", "403 stops", _stops(lambda t, n, g: (403, "forbidden", {}), 2, "SEEMANT_API_KEY")),
    Case(
        "4",
        "404 stops",
        _stops(lambda t, n, g: (404, "<html><body>nginx</body></html>", {}), 2, "/v1"),
    ),
    Case(
        "4",
        "an unknown model stops",
        _stops(
            lambda t, n, g: (
                400,
                {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}},
                {},
            ),
            2,
            "does not exist",
        ),
    ),
    Case(
        "4",
        "a redirect stops",
        _stops(
            lambda t, n, g: (308, "", {"Location": "https://elsewhere.invalid/v1"}),
            2,
            "elsewhere.invalid",
        ),
    ),
    Case(
        "4",
        "a spent quota stops",
        _stops(
            lambda t, n, g: (
                429,
                {
                    "error": {
                        "code": "insufficient_quota",
                        "message": "You exceeded your current quota",
                    }
                },
                {},
            ),
            1,
            "quota",
        ),
    ),
    Case(
        "4",
        "every request refused",
        _stops(
            lambda t, n, g: (422, {"detail": "seed: extra fields not permitted"}, {}),
            2,
            "extra fields",
            "every request",
        ),
    ),
    Case("22", "port 80800", _address("openai:http://127.0.0.1:80800/v1#m", "80800", "port")),
    Case("22", "port 8o80", _address("openai:http://127.0.0.1:8o80/v1#m", "8o80", "port")),
    Case("22", "[::1/v1", _address("openai:http://[::1/v1#m", "[::1/v1")),
    Case("22", "port 0", _address("openai:http://127.0.0.1:0/v1#m", "port")),
    Case("22", "no scheme", _address("openai:127.0.0.1:8000/v1#m", "http://")),
    Case("22", "another scheme", _address("openai:ftp://h/v1#m", "http://")),
    Case("22", "no host", _address("openai:http:///v1#m", "host")),
    Case("22", "an empty label", _address("openai:http://a..b/v1#m", "host")),
    Case("22", "a space", _address("openai:http://127.0.0.1 :8000/v1#m", "space")),
    Case("22", "no model", _address("openai:http://127.0.0.1:8000/v1#", "model")),
    Case("22", "a password", _address("openai:http://me:hunter2@127.0.0.1:1/v1#m", "password")),
    Case(
        "22",
        "a key in the query",
        _address("openai:https://h.invalid/v1?api_key=hunter2#m", "api_key"),
    ),
    Case(
        "22",
        "a password without a model",
        _address("openai:http://me:hunter2@127.0.0.1:1/v1", "password"),
    ),
    Case("18", "org/मॉडल q4", _retrieved("org/मॉडल q4")),
    Case("18", "a slash", _retrieved("owner/name-1.5B")),
    Case("18", "percent and plus", _retrieved("50% + more?#x")),
    Case("18", "Kannada", _retrieved("ಕನ್ನಡ/ಮಾದರಿ")),
    Case("18", "an end slash", _curl("URL/v1/models/", holds='"id": "tiny"')),
    Case(
        "serve",
        "a chunked body",
        _curl(
            *JSON, "-H", "Transfer-Encoding: chunked", "-d", _body(), CHAT, holds='"finish_reason"'
        ),
    ),
    Case("serve", "null fields", _curl(*JSON, "-d", _body(**NULLS), CHAT, holds='"finish_reason"')),
    Case(
        "serve",
        "expect 100-continue",
        _curl(*JSON, "-H", "Expect: 100-continue", "-d", _body(), CHAT, holds='"finish_reason"'),
    ),
    Case("serve", "HTTP/1.0", _curl("-0", *JSON, "-d", _body(), CHAT, holds='"finish_reason"')),
    Case("serve", "HEAD", _curl("-I", "URL/v1/models", holds="200 OK")),
    Case("serve", "OPTIONS", _curl("-X", "OPTIONS", CHAT, holds="Allow: ")),
    Case(
        "serve",
        "content parts, developer",
        _curl(
            *JSON,
            "-d",
            json.dumps(
                {
                    "messages": [
                        {"role": "developer", "content": "x"},
                        {"role": "user", "content": [{"type": "text", "text": "the"}]},
                    ],
                    "max_completion_tokens": 2,
                }
            ),
            CHAT,
            holds='"finish_reason"',
        ),
    ),
    Case(
        "serve",
        "n of 2 is refused in OpenAI's form",
        _curl(*JSON, "-d", _body(n=2), CHAT, holds='"param": "n"'),
    ),
    Case("serve", "no JSON", _curl(*JSON, "-d", "{", CHAT, holds='"invalid_request_error"')),
    Case("serve", "a wrong method", _curl("-X", "DELETE", "URL/v1/models", holds="405")),
]
