"""Chat templates as transformers renders them: by its own renderer, in its own environment."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.core.errors import InputError

Message = Mapping[str, str]


def render_chat(
    source: str,
    messages: Sequence[Message],
    *,
    specials: Mapping[str, str],
    begin_answer: bool = True,
    in_parts: bool = False,
) -> str:
    """Return a conversation in a chat template's words, up to where the next answer begins.

    The text holds the beginning-of-text piece where the template writes it; tokenizers add no
    second one. Dates are today's, as the template's author wrote it.

    source: the template's jinja text. messages: `role` and `content` of every turn so far.
    specials: the model's own pieces by transformers' names (`bos_token`, `eos_token`).
    in_parts: the template reads a content as a list of parts.

    Raises:
        InputError: the template refuses the conversation, or cannot be read.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = [_in_parts(message) if in_parts else dict(message) for message in messages]
    try:
        (text,), _ = render_jinja_template(
            conversations=[turns],
            chat_template=source,
            add_generation_prompt=begin_answer,
            **specials,
        )
    except Exception as error:  # a template is a stranger's program: it may raise anything
        raise _refusal(error, messages) from error
    return str(text)


def _in_parts(message: Message) -> dict[str, Any]:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _refusal(error: Exception, messages: Sequence[Message]) -> InputError:
    from jinja2 import TemplateSyntaxError, UndefinedError

    roles = ", ".join(message["role"] for message in messages)
    other = "name another template file with --template FILE, or --template plain"
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, TemplateSyntaxError):
        return InputError(
            f"the model's chat template cannot be read: {said}",
            where=f"line {error.lineno} of the template",
            fix=other,
        )
    if isinstance(error, UndefinedError) or type(error).__module__ == "builtins":
        what = f"the model's chat template fails on this conversation: {said}"
    else:  # its own words, by raise_exception
        what = f"the model's chat template refuses this conversation: {said}"
    out = "leave the system prompt out, or " if "system" in roles else ""
    return InputError(what, where=f"roles: {roles}", fix=out + other)
