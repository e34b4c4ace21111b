"""Chat templates: the same text as transformers' tokenizer makes, and refusals in a sentence."""

import subprocess
import sys

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from seemant.core.errors import InputError
from seemant.models.chat_render import render_chat
from tests.models.chat_sources import SOURCES

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>"}
TALK = [
    {"role": "user", "content": "भारत की <राजधानी> & 'नाम'?"},
    {"role": "assistant", "content": "नई दिल्ली"},
    {"role": "user", "content": "और?"},
]


@pytest.mark.parametrize("begin_answer", [True, False])
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_template_is_rendered_as_by_transformers_tokenizer(name: str, begin_answer: bool) -> None:
    source, parts = SOURCES[name], name == "PARTS"
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}, "</s>")), **SPECIALS
    )
    talk: list[dict[str, object]] = [
        {**m, "content": [{"type": "text", "text": m["content"]}] if parts else m["content"]}
        for m in TALK
    ]
    wanted = theirs.apply_chat_template(
        talk, chat_template=source, tokenize=False, add_generation_prompt=begin_answer
    )
    ours = render_chat(source, TALK, specials=SPECIALS, begin_answer=begin_answer, in_parts=parts)
    assert ours == wanted and TALK[1]["content"] in ours


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "{{ raise_exception('roles must\\n alternate') }}",
            "refuses this conversation: roles must",
        ),
        ("{{ tools | length }}", "fails on this conversation: object of type 'NoneType'"),
        ("{{ functions.x }}", "fails on this conversation: 'functions' is undefined"),
        ("{{ messages[7].content.x }}", "fails on this conversation"),
        ("{% for m in messages %}", "cannot be read"),
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "conversation"),
        ("{{ 1 / 0 }}", "fails on this conversation: division by zero"),
    ],
)
def test_a_template_that_fails_is_one_sentence_with_a_way_out(source: str, said: str) -> None:
    with pytest.raises(InputError, match="the model's chat template") as caught:
        render_chat(source, TALK, specials={})
    assert said in caught.value.what and "\n" not in caught.value.what
    assert "--template" in str(caught.value)


def test_importing_the_renderer_brings_no_torch() -> None:
    code = (
        "import sys; from seemant.models.chat_render import render_chat;"
        "render_chat('x', [{'role': 'user', 'content': 'a'}], specials={});"
        "raise SystemExit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
