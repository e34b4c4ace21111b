"""Replies and refusals in the shapes in which servers send them."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from seemant.core.errors import InputError, NoAnswer, ServerDown
from seemant.models.backends.openai_refusal import Refused, error_inside, refusal
from seemant.models.backends.openai_reply import generation_in
from seemant.models.backends.openai_wait import wished_wait


def reply(message: Any, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish}], **more}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "हाँ"},
        {"content": [{"type": "text", "text": "ह"}, {"type": "text", "text": "ाँ"}]},
        {"content": [{"type": "output_text", "text": "हाँ"}]},
        {"content": [{"type": "text", "text": {"value": "हाँ"}}]},
        {"content": {"type": "text", "text": "हाँ"}},
        {"content": ["हाँ"]},
        {"content": [{"type": "thinking", "thinking": "क"}, {"type": "text", "text": "हाँ"}]},
        {"content": [{"type": "reasoning", "text": "क"}, {"text": "हाँ"}]},
        {"content": "हाँ", "reasoning_content": "क", "refusal": None, "tool_calls": None},
        "हाँ",
    ],
)
def test_the_text_is_found_in_every_shape(message: Any) -> None:
    assert generation_in(reply(message)).text == "हाँ"


def test_counts_that_are_none_count_nothing() -> None:
    for usage in (None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": None}, [3], 7):
        assert generation_in(reply({"content": "a"}, usage=usage)).n_prompt == 0


@pytest.mark.parametrize(
    ("message", "finish", "says"),
    [
        ({"content": None, "refusal": "I cannot"}, "stop", "refused: I cannot"),
        ({"content": [{"type": "refusal", "refusal": "No"}]}, "stop", "refused: No"),
        ({"content": None}, "content_filter", "content_filter"),
        ({"content": None, "tool_calls": [{}]}, "tool_calls", "tool"),
        ({"content": None, "reasoning_content": "hm"}, "length", "thought .*--server-tokens"),
        ({"content": "", "reasoning": "hm"}, "stop", "thought"),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, "stop", "thought"),
        ({"content": ""}, "length", "limit of tokens"),
    ],
)
def test_an_answer_without_text_says_why(message: Any, finish: str, says: str) -> None:
    with pytest.raises(NoAnswer, match=says):
        generation_in(reply(message, finish))


@pytest.mark.parametrize("value", [{}, {"choices": None}, {"choices": []}, {"choices": ["x"]}])
def test_no_choice_is_worth_another_try(value: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        generation_in(value)
    assert caught.value.of_item


def meaning(status: int, text: str, **headers: str) -> Exception:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(status, told, text.encode(), where="http://h", key="sk-hunter2")


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, '{"error": {"code": "content_filter", "message": "filtered"}}', NoAnswer),
        (400, '{"error": {"message": "maximum context length is 512"}}', NoAnswer),
        (400, '{"error": {"code": "model_not_found", "message": "no"}}', InputError),
        (400, '{"detail": "Unknown model m"}', InputError),
        (403, '{"error": {"message": "flagged by moderation"}}', NoAnswer),
        (403, "forbidden", InputError),
        (401, "", InputError),
        (404, "content filter", InputError),
        (402, "pay", InputError),
        (413, "", NoAnswer),
        (422, "text", NoAnswer),
        (429, '{"error": {"code": "insufficient_quota", "message": "x"}}', ServerDown),
        (429, '{"error": {"message": "Rate limit reached"}}', Refused),
        (429, '{"error": {"message": "too many tokens per minute"}}', Refused),
        (500, "oops", Refused),
        (500, '{"error": {"type": "exceed_context_size_error", "message": "x"}}', NoAnswer),
        (524, "", Refused),
        (501, "", InputError),
        (301, "", InputError),
    ],
)
def test_a_refusal_is_the_item_s_the_run_s_or_passing(
    status: int, text: str, kind: type[Exception]
) -> None:
    found = meaning(status, text)
    assert type(found) is kind and (str(status) in str(found))


def test_what_the_server_says_is_shown_without_the_key_and_without_markup() -> None:
    found = str(meaning(401, '{"error": {"message": "wrong key sk-hunter2"}}'))
    assert "wrong key ***" in found and "SEEMANT_API_KEY" in found
    page = "<!DOCTYPE html><html><style>p{}</style><h1>404</h1>\n<p>nginx</p></html>"
    assert "status 404: 404 nginx" in str(meaning(404, page))
    assert "to https://***@h/v1" in str(meaning(307, "", location="https://a:b@h/v1"))


def test_an_error_inside_an_answer_is_told_by_its_number() -> None:
    def inside(**error: Any) -> Exception | None:
        return error_inside({"error": error}, where="http://h", key=None)

    assert isinstance(inside(code=429, message="slow"), Refused)
    assert isinstance(inside(code=401, message="key"), InputError)
    assert isinstance(inside(code="x", message="odd"), Refused)
    assert error_inside({"choices": [{}], "error": None}, where="", key=None) is None


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("Retry-After", "7", 7.0),
        ("retry-after", " 0.5 ", 0.5),
        ("Retry-After", "12.25", 12.25),
        ("Retry-After", "1e6", 1e6),
        ("Retry-After", "20s", 20.0),
        ("Retry-After", "1m30s", 90.0),
        ("retry-after-ms", "1500", 1.5),
        ("x-ms-retry-after-ms", "250.5", 0.2505),
        ("x-ratelimit-reset-requests", "6m0s", 360.0),
        ("x-ratelimit-reset-requests", "120ms", 0.12),
        ("Retry-After", "-1", None),
        ("Retry-After", "nan", None),
        ("Retry-After", "inf", None),
        ("Retry-After", "soon", None),
        ("Retry-After", "", None),
        ("Retry-After", "Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("Retry-After", "Thu, 99 Jan 1970 00:00:10 GMT", None),
        ("X-Else", "7", None),
    ],
)
def test_a_wish_to_wait_is_read_in_every_form(name: str, value: str, seconds: float | None) -> None:
    assert wished_wait({name: value}) == (None if seconds is None else pytest.approx(seconds))


def test_a_date_is_waited_for() -> None:
    at = time.time() + 60
    forms = [formatdate(at, usegmt=True), formatdate(at, localtime=True), str(at), str(at * 1000)]
    moment = time.gmtime(at)
    forms += [time.asctime(moment), time.strftime("%A, %d-%b-%y %H:%M:%S GMT", moment)]
    forms += [time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)]
    for form in forms:
        assert 55 < (wished_wait({"Retry-After": form}) or 0) <= 61, form
