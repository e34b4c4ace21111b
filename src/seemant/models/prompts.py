"""Prompts: how a question is worded to a model, up to where its answer begins.

Two forms. "plain" is for base models: a line for the question and one for the answer, worded in
the question's own language. "chat" is the model's own jinja template. A rendered prompt never
holds the beginning-of-text token: tokenizers and backends add it as the model's file says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seemant.core.errors import BadFile, InputError
from seemant.core.hashing import json_sha256
from seemant.core.records import LANGUAGES, Lang

if TYPE_CHECKING:
    from jinja2 import Template as Compiled

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


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt form. `source` is the chat template's jinja text, empty for the plain form.

    `end_of_turn` is the piece that ends an answer: `<eos>` or the chat template's own.
    """

    name: Literal["plain", "chat"]
    end_of_turn: str
    source: str = ""

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with anything that changes a prompt."""
        wording = LABELS if self.name == "plain" else None
        return json_sha256([self.name, self.source, self.end_of_turn, wording])[:16]

    @property
    def answer_prefix(self) -> str:
        """What stands between a rendered prompt and its answer: a space in the plain form.

        It belongs to the answer: a prompt that ended in a space would split the first word's
        token, as tokens carry their leading space.
        """
        return " " if self.name == "plain" else ""

    def render(
        self, question: str, lang: Lang, *, input: str = "", system: str | None = None
    ) -> str:
        """Return the prompt's text up to where the answer begins, without BOS.

        Raises:
            InputError: the chat template refuses the conversation (some know no system role).
        """
        if self.name == "plain":
            return _plain(question, lang, input, system)
        messages = [{"role": "system", "content": system}] if system else []
        content = f"{question}\n\n{input}" if input else question
        messages.append({"role": "user", "content": content})
        return render_chat(self.source, messages, begin_answer=True)

    def stops(self, lang: Lang) -> tuple[str, ...]:
        """Return texts that end an answer where the end-of-turn token was not produced.

        In the plain form that is the next question's label, in any language, `lang` first.
        """
        if self.name == "chat":
            return (self.end_of_turn,) if self.end_of_turn else ()
        order = (lang, *(other for other in LANGUAGES if other != lang))
        return tuple(f"\n{LABELS[each][0]}:" for each in order)


def template_of(path: Path) -> Template:
    """Return the template that a model brings: a GGUF file's or an HF folder's, else plain.

    Raises:
        BadFile: the file or folder cannot be read as a model.
    """
    if path.is_dir():
        return _of_folder(path)
    from seemant.formats.gguf_read import open_gguf

    return template_of_metadata(open_gguf(path).metadata)


def template_of_metadata(metadata: Mapping[str, Any]) -> Template:
    """Return the template that a GGUF file's metadata holds, else the plain form."""
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    eos = metadata.get("tokenizer.ggml.eos_token_id")
    piece = str(tokens[eos]) if eos is not None and eos < len(tokens) else ""
    return make_template(str(metadata.get("tokenizer.chat_template", "")), piece)


def make_template(source: str, eos_piece: str) -> Template:
    """Return a chat template from its jinja source, or the plain form where there is none.

    The end of a turn is what the chat template itself writes behind an assistant's message;
    the end-of-text piece stands in where it writes nothing.
    """
    if not source:
        return Template("plain", eos_piece)
    mark = "ANSWER-MARK"
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": mark}]
    tail = render_chat(source, talk, begin_answer=False).rpartition(mark)[2].strip()
    return Template("chat", tail or eos_piece, source)


def render_chat(source: str, messages: list[dict[str, str]], *, begin_answer: bool = True) -> str:
    """Return a conversation in a chat template's words, up to where the next answer begins.

    source: the template's jinja text. messages: `role` and `content` of every turn so far.

    Raises:
        InputError: the template refuses the conversation.
    """
    from jinja2 import TemplateError

    try:
        # bos_token is empty: the tokenizer adds it. strftime_now stays undefined on purpose:
        # templates that ask for today's date fall back to their fixed one.
        return _compiled(source).render(
            messages=messages, add_generation_prompt=begin_answer, bos_token="", eos_token=""
        )
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise InputError(
            f"the model's chat template refuses this conversation: {error}",
            where=f"roles: {roles}",
            fix="leave the system prompt out" if "system" in roles else "use the plain template",
        ) from error


def _plain(question: str, lang: Lang, given: str, system: str | None) -> str:
    ask, text, answer = LABELS[lang]
    lines = [f"{ask}: {question}", *([f"{text}: {given}"] if given else []), f"{answer}:"]
    return (f"{system}\n\n" if system else "") + "\n".join(lines)


@cache
def _compiled(source: str) -> "Compiled":
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The same environment as transformers' own: sandboxed, blocks trimmed.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    return environment.from_string(source)


def _refuse(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _of_folder(folder: Path) -> Template:
    path = folder / "tokenizer_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise BadFile(f"not JSON: {error}", where=str(path), fix="fetch the model again") from error
    source = config.get("chat_template") or ""
    if isinstance(source, list):  # several named templates: the one called "default"
        source = next((each["template"] for each in source if each["name"] == "default"), "")
    own = folder / "chat_template.jinja"
    if own.is_file():  # where newer folders keep it
        source = own.read_text(encoding="utf-8")
    eos = config.get("eos_token") or ""
    return make_template(source, eos["content"] if isinstance(eos, dict) else eos)
