"""Addresses and keys are checked when they are read, and secrets are never shown."""

import pytest

from seemant.core.errors import BadConfig, InputError, UnknownModel
from seemant.core.refs import parse_ref
from seemant.distill.config import DistillConfig
from seemant.models.backends.openai_address import (
    KEY_VARIABLE,
    read_address,
    read_key,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1", 8000, "/v1/chat/completions"),
        ("http://127.0.0.1:8000/v1/", "127.0.0.1", 8000, "/v1/chat/completions"),
        ("https://h/v1/chat/completions", "h", None, "/v1/chat/completions"),
        ("http://[::1]:80/v1", "::1", 80, "/v1/chat/completions"),
        ("http://localhost", "localhost", None, "/chat/completions"),
        ("https://h/a b".replace(" ", "%20"), "h", None, "/a%20b/chat/completions"),
        ("https://h/पथ", "h", None, "/%E0%A4%AA%E0%A4%A5/chat/completions"),
        ("https://h/o?api-version=2", "h", None, "/o/chat/completions?api-version=2"),
        ("http://नहर.invalid/v1", "xn--m1bdr0e.invalid", None, "/v1/chat/completions"),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int | None, target: str) -> None:
    found = read_address(text)
    assert (found.port, found.target("chat/completions")) == (port, target)
    assert found.host == host or (host.startswith("xn--") and found.host.startswith("xn--"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://127.0.0.1:80800/v1", "80800"),
        ("http://127.0.0.1:8o80/v1", "8o80"),
        ("http://127.0.0.1:-1/v1", "port"),
        ("http://127.0.0.1:0/v1", "port"),
        ("http://[::1/v1", "http address"),
        ("127.0.0.1:8000/v1", "http address"),
        ("localhost/v1", "http address"),
        ("ws://h/v1", "http address"),
        ("http:///v1", "no host"),
        ("http://:80/v1", "no host"),
        ("http://a..b/v1", "a..b"),
        ("http://" + "a" * 64 + ".b/v1", "no host's name"),
        ("http://h /v1", "space"),
        ("http://h/v1\n", "space or a control"),
        ("http://h/\u200b", "control character"),
        ("http://u:hunter2@h/v1", "password"),
        ("http://hunter2@h/v1", "password"),
        ("http://h/v1?api_key=hunter2", "api_key"),
        ("http://h/v1?Token=hunter2", "Token"),
    ],
)
def test_bad_addresses_are_refused_before_anything_is_written(text: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says) as caught:
        read_address(text)
    assert "hunter2" not in str(caught.value) and caught.value.fix
    with pytest.raises(ValueError, match=r"address|port|host"):
        DistillConfig(teacher=f"openai:{text}#m")


def test_a_password_is_not_repeated() -> None:
    assert without_secrets("http://a:b@h/v1?key=c&x=d") == "http://***@h/v1?key=***&x=***"
    for text in ("openai:http://u:hunter2@h/v1", "http://u:hunter2@h/v1#m"):
        with pytest.raises(UnknownModel) as caught:
            parse_ref(text)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("sk-a", "sk-a"),
        ("sk-a\n", "sk-a"),
        (" sk-a\r\n", "sk-a"),
        ("\ufeffsk-a", "sk-a"),
        ("Bearer sk-a", "sk-a"),
        ("", None),
        (" \n", None),
    ],
)
def test_a_key_is_used_without_what_stands_around_it(
    given: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, given)
    assert read_key() == key


@pytest.mark.parametrize("given", ["sk-hunter 2", "sk-hunter\n2", "sk-hunter\t2", "sk-कुंजी", "sk-é"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, given)
    with pytest.raises(InputError, match="of the key") as caught:
        read_key()
    assert "sk-" not in str(caught.value)
