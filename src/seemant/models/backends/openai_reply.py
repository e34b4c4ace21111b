"""What stands in a chat completion: its text in every shape, or why there is none."""

from collections.abc import Mapping
from typing import Any

from seemant.core.errors import NoAnswer
from seemant.models.backends.openai_refusal import Refused
from seemant.models.backends.protocol import FinishReason, Generation

_THOUGHT = ("reasoning_content", "reasoning", "thinking")


def generation_in(reply: Mapping[str, Any]) -> Generation:
    """Return the answer that a reply holds.

    Raises:
        NoAnswer: the model refused, was filtered, called a tool or only thought.
        Refused: there is no text and no reason for that: worth another try.
    """
    choice = choice_in(reply)
    text = text_in(choice, "message")
    if choice is None or not text or not text.strip():
        raise _why(choice, reply)
    n_prompt, n_new = usage_in(reply)
    return Generation(text=text, finish_reason=reason_in(choice), n_prompt=n_prompt, n_new=n_new)


def choice_in(reply: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the first choice of a reply or of a stream's event, where there is one."""
    choices = reply.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return None


def text_in(choice: Mapping[str, Any] | None, holder: str) -> str | None:
    """Return the text of a choice: chat keeps it in a message or delta, completions beside it."""
    if choice is None:
        return None
    inner = choice.get(holder)
    if isinstance(inner, str):
        return inner
    return _joined(inner.get("content") if isinstance(inner, dict) else choice.get("text"))


def reason_in(choice: Mapping[str, Any]) -> FinishReason:
    """Return why the text ended."""
    return "length" if choice.get("finish_reason") in ("length", "max_tokens") else "stop"


def usage_in(reply: Mapping[str, Any]) -> tuple[int, int]:
    """Return the counts of the prompt's and the answer's tokens; 0 where they are not told."""
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    found = [counts.get(name) for name in ("prompt_tokens", "completion_tokens")]
    n_prompt, n_new = [int(n) if isinstance(n, int | float) and n == n else 0 for n in found]
    return n_prompt, n_new


def _joined(content: Any) -> str | None:
    """Return content that is a text, or the text parts of a list; thinking is no text."""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type", "text") in ("text", "output_text"):
            text = part.get("text")
            text = text.get("value") if isinstance(text, dict) else text
            texts += [text] if isinstance(text, str) else []
    return "".join(texts) if texts else None


def _why(choice: Mapping[str, Any] | None, reply: Mapping[str, Any]) -> Exception:
    message = choice.get("message") if choice else None
    message = message if isinstance(message, dict) else {}
    ended = choice.get("finish_reason") if choice else None
    parts = message.get("content")
    inside = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    said = message.get("refusal") or next(
        (part.get("refusal") for part in inside if part.get("refusal")), None
    )
    if said:
        return NoAnswer(f"the model refused: {str(said)[:200]}")
    if ended in ("content_filter", "safety", "SAFETY"):
        return NoAnswer(f"an empty answer, ended by {ended}")
    if message.get("tool_calls") or message.get("function_call"):
        return NoAnswer("the model called a tool in place of an answer")
    thought = any(message.get(name) for name in _THOUGHT)
    if thought or any("think" in str(part.get("type")) for part in inside):
        more = "; raise --server-tokens" if ended == "length" else ""
        return NoAnswer(f"the model thought and gave no answer{more}")
    if ended == "length":
        return NoAnswer("an empty answer at the limit of tokens; raise --server-tokens")
    return Refused(f"an answer without text: {str(dict(reply))[:120]}", of_item=True)
