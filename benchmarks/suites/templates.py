"""Chat templates in use, of llama.cpp's collection: by transformers' tokenizer, and by us."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from seemant.core.errors import InputError
from seemant.models.prompts import template_of_metadata
from suites.peer_files import llama_cpp_models

BOS, EOS = "<s>", "</s>"
_ASK = {"role": "user", "content": "भारत की <राजधानी> & 'नाम'?"}
_TOLD = {"role": "assistant", "content": "नई दिल्ली"}
TALKS = {
    "a question": [_ASK],
    "a second question": [_ASK, _TOLD, {"role": "user", "content": 'और "कर्नाटक" की?'}],
    "a system prompt": [{"role": "system", "content": "संक्षिप्त उत्तर दें।"}, _ASK],
}


class _Clock(datetime):
    """One clock for both: templates ask it for today's date, some for the minute."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Clock":
        return cls(2026, 11, 26, 14, 5, tzinfo=tz)


def rows() -> list[dict[str, Any]]:
    """Return a row a template.

    n: renderings that transformers makes. differ: ours that are not the same text, or refused. A
    conversation that the template refuses by transformers has to be refused by us, or differs too.
    """
    with patch.object(chat_template_utils, "datetime", _Clock):
        return [_row(path) for path in sorted((llama_cpp_models() / "templates").glob("*.jinja"))]


def _row(path: Path) -> dict[str, Any]:
    source = path.read_text(encoding="utf-8")
    pairs = [(_theirs(source, talk), _ours(source, talk)) for talk in TALKS.values()]
    made = [theirs for theirs, _ in pairs if theirs is not None]
    differ = [name for name, (theirs, ours) in zip(TALKS, pairs, strict=True) if theirs != ours]
    return {
        "part": "templates", "name": path.stem, "n": len(made), "differ": len(differ),
        "refused": False, "why": ", ".join(differ),
    }  # fmt: skip


def _theirs(source: str, talk: list[dict[str, str]]) -> str | None:
    """Return transformers' text, contents as lists of parts where the template shows no plain one.

    None: refused, or what was asked is not in the text in either form.
    """
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({BOS: 0, EOS: 1}, EOS)),
        bos_token=BOS,
        eos_token=EOS,
    )

    def rendered(turns: list[dict[str, Any]]) -> str | None:
        try:
            return str(
                tokenizer.apply_chat_template(
                    turns, chat_template=source, tokenize=False, add_generation_prompt=True
                )
            )
        except Exception:
            return None

    in_parts = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in talk]
    return _first(rendered, [dict(each) for each in talk], in_parts)


def _first(
    rendered: Callable[[list[dict[str, Any]]], str | None], *forms: list[dict[str, Any]]
) -> str | None:
    texts = [rendered(form) for form in forms]
    return next((text for text in texts if text is not None and _ASK["content"] in text), texts[0])


def _ours(source: str, talk: list[dict[str, str]]) -> str | None:
    metadata = {
        "tokenizer.chat_template": source, "tokenizer.ggml.tokens": [BOS, EOS],
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1,
    }  # fmt: skip
    try:
        return template_of_metadata(metadata).converse(talk)
    except InputError:
        return None
