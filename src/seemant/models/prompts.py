"""Prompts: how a question is worded to a model, up to where its answer begins.

Two forms. "plain" is for base models: a line for the question and one for the answer, worded in
the question's own language. "chat" is the model's own jinja template. A chat template may write
the beginning-of-text piece, the plain form never does: tokenizers and backends add it where the
model's file asks for it and the text does not begin with it, so that there is exactly one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seemant.core.errors import InputError
from seemant.core.hashing import json_sha256
from seemant.core.records import LANGUAGES, Lang
from seemant.models.chat_render import render_chat
from seemant.models.chat_shape import TurnShape, shape_of
from seemant.models.chat_words import PLAIN, ChatWords, words_of_folder, words_of_metadata

# Question, accompanying text, answer: the labels of the plain form.
LABELS: dict[Lang, tuple[str, str, str]] = {
    "hi": ("प्रश्न", "पाठ", "उत्तर"),
    "kn": ("ಪ್ರಶ್ನೆ", "ಪಠ್ಯ", "ಉತ್ತರ"),
    "en": ("Question", "Text", "Answer"),
}

# The study's system prompt: the language used, concise and factual, no invented news,
# English technical terms explained in the target language.
STUDY_SYSTEM_PROMPTS: dict[Lang, str] = {
    "hi": (
        "जिस भाषा में प्रश्न पूछा जाए, उसी भाषा में उत्तर दें। उत्तर संक्षिप्त और तथ्यात्मक हो। "
        "मनगढ़ंत समाचार न जोड़ें। अंग्रेज़ी के तकनीकी शब्दों का अर्थ हिन्दी में समझाएँ।"
    ),
    "kn": (
        "ಪ್ರಶ್ನೆ ಕೇಳಿದ ಭಾಷೆಯಲ್ಲೇ ಉತ್ತರಿಸಿ. ಉತ್ತರ ಚಿಕ್ಕದಾಗಿ ಮತ್ತು ವಾಸ್ತವಾಂಶಗಳಿಂದ ಕೂಡಿರಲಿ. "
        "ಕಲ್ಪಿತ ಸುದ್ದಿಗಳನ್ನು ಸೇರಿಸಬೇಡಿ. ಇಂಗ್ಲಿಷ್ ತಾಂತ್ರಿಕ ಪದಗಳ ಅರ್ಥವನ್ನು ಕನ್ನಡದಲ್ಲಿ ವಿವರಿಸಿ."
    ),
    "en": (
        "Answer in the language of the question. Be concise and factual. "
        "Do not add invented news. Explain technical terms in plain English."
    ),
}

_SYSTEM_MARK = "SYSTEM-MARK"


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt form. `source` is the chat template's jinja text, empty for the plain form.

    `end_of_turn` is the piece that ends an answer: `<eos>` or the chat template's own.
    `specials`: the pieces that a chat template is rendered with (see `render_chat`).
    `shape`: how it writes an answer.
    """

    name: Literal["plain", "chat"]
    end_of_turn: str
    source: str = ""
    specials: Mapping[str, str] = field(default_factory=dict)
    shape: TurnShape = field(default_factory=TurnShape)

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with anything that changes a prompt."""
        wording = LABELS if self.name == "plain" else None
        chat = [dict(self.specials)] if self.name == "chat" else []
        return json_sha256([self.name, self.source, self.end_of_turn, wording, *chat])[:16]

    @property
    def answer_prefix(self) -> str:
        """What stands between a rendered prompt and its answer: a space in the plain form.

        It belongs to the answer: a prompt that ended in a space would split the first word's
        token, as tokens carry their leading space. Some chat templates write one as well.
        """
        return " " if self.name == "plain" else self.shape.lead

    def render(
        self, question: str, lang: Lang, *, input: str = "", system: str | None = None
    ) -> str:
        """Return the prompt's text up to where the answer begins.

        A system prompt that the chat template refuses or drops opens the question.

        Raises:
            InputError: the chat template refuses the conversation.
        """
        if self.name == "plain":
            return _plain(question, lang, input, system)
        messages = [{"role": "system", "content": system}] if system else []
        content = f"{question}\n\n{input}" if input else question
        messages.append({"role": "user", "content": content})
        return self.converse(with_system(self, messages))

    def converse(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return a conversation in the chat template's words, up to where the answer begins.

        Raises:
            InputError: the chat template refuses it.
        """
        return render_chat(
            self.source, messages, specials=self.specials, in_parts=self.shape.in_parts
        )

    def knows_system(self) -> bool:
        """Return whether a system prompt reaches the model: some refuse one, some drop it."""
        if self.name == "plain":
            return True
        try:
            turns = [("system", _SYSTEM_MARK), ("user", "?")]
            text = self.converse([{"role": role, "content": said} for role, said in turns])
            return _SYSTEM_MARK in text
        except InputError:
            return False

    def stops(self, lang: Lang) -> tuple[str, ...]:
        """Return texts that end an answer where the end-of-turn token was not produced.

        In the plain form that is the next question's label, in any language, `lang` first.
        """
        if self.name == "chat":
            return (self.end_of_turn,) if self.end_of_turn else ()
        order = (lang, *(other for other in LANGUAGES if other != lang))
        return tuple(f"\n{LABELS[each][0]}:" for each in order)


def with_system(template: Template, messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return a conversation whose system prompt reaches the model.

    Where the template refuses or drops a system turn, its text opens the next user's turn, as
    Gemma's newer templates do by themselves.
    """
    if all(message["role"] != "system" for message in messages) or template.knows_system():
        return [dict(message) for message in messages]
    turns: list[dict[str, str]] = []
    waiting = ""
    for message in messages:
        if message["role"] == "system":
            waiting += message["content"] + "\n\n"
        elif message["role"] == "user":
            turns.append({**message, "content": waiting + message["content"]})
            waiting = ""
        else:
            turns.append(dict(message))
    return turns


def template_of(path: Path, form: str | None = None) -> Template:
    """Return the template that a model brings: a GGUF file's or an HF folder's, else plain.

    form: another than its own: "plain", or a chat template's text.

    Raises:
        BadFile: the file or folder cannot be read as a model.
    """
    if path.is_dir():
        return _of_words(words_of_folder(path), form)
    from seemant.formats.gguf_read import open_gguf

    return template_of_metadata(open_gguf(path).metadata, form)


def template_of_metadata(metadata: Mapping[str, Any], form: str | None = None) -> Template:
    """Return the template that a GGUF file's metadata holds, else the plain form."""
    return _of_words(words_of_metadata(metadata), form)


def make_template(
    source: str, eos_piece: str, specials: Mapping[str, str] | None = None
) -> Template:
    """Return a chat template from its jinja source, or the plain form where there is none.

    The end of a turn is what the chat template itself writes behind an assistant's message;
    the end-of-text piece stands in where it writes nothing.

    specials: the model's pieces by transformers' name; by default the end of text alone.
    """
    if not source:
        return Template("plain", eos_piece)
    if specials is None:
        specials = {"eos_token": eos_piece} if eos_piece else {}
    shape = shape_of(source, specials)
    return Template("chat", shape.end or eos_piece, source, dict(specials), shape)


def _of_words(words: ChatWords, form: str | None) -> Template:
    source = words.source if form is None else form
    return make_template(
        "" if source == PLAIN else source, words.specials.get("eos_token", ""), words.specials
    )


def _plain(question: str, lang: Lang, given: str, system: str | None) -> str:
    ask, text, answer = LABELS[lang]
    lines = [f"{ask}: {question}", *([f"{text}: {given}"] if given else []), f"{answer}:"]
    return (f"{system}\n\n" if system else "") + "\n".join(lines)
