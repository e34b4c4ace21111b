"""A conversation as the model's own prompt: its chat template, or our plain questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from seemant.core.records import Lang
from seemant.corpus.scripts import detect_lang
from seemant.models.prompts import Template, with_system
from seemant.serve.requests import Message


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text and the strings that end its answer."""

    text: str
    stops: tuple[str, ...]


def prompt_of(template: Template, messages: Sequence[Message], lang: Lang | None) -> Prompt:
    """Return the prompt of a conversation that ends with the user's message.

    A model without a chat template gets question and answer lines, worded in the language whose
    script the question is written in (English where there is none). Earlier turns stand before.

    Raises:
        InputError: the model's template refuses the conversation.
    """
    question = messages[-1].text
    language: Lang = lang or detect_lang(question) or "en"
    if template.name == "chat":
        turns = [{"role": _role(message), "content": message.text} for message in messages]
        return Prompt(template.converse(with_system(template, turns)), template.stops(language))
    system = "\n".join(m.text for m in messages if _role(m) == "system") or None
    blocks: list[str] = []
    asked: str | None = None
    for message in messages[:-1]:
        if message.role == "user":
            asked = message.text
        elif message.role == "assistant" and asked is not None:
            before = template.render(asked, lang or detect_lang(asked) or "en")
            blocks.append(before + template.answer_prefix + message.text.strip())
            asked = None
    blocks.append(template.render(question, language))
    text = "\n\n".join(blocks if system is None else [system, *blocks])
    return Prompt(text, template.stops(language))


def _role(message: Message) -> str:
    return "system" if message.role == "developer" else message.role
