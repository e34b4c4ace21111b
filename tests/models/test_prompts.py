"""Prompts: the exact texts, and hashes that change with everything that changes a prompt."""

import json
from pathlib import Path

import pytest

from seemant.core.errors import BadFile, InputError
from seemant.core.records import LANGUAGES, Lang
from seemant.models.prompts import (
    LABELS,
    STUDY_SYSTEM_PROMPTS,
    Template,
    make_template,
    template_of,
    with_system,
)

PLAIN = make_template("", "<eos>")
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
GEMMA_IT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ '<start_of_turn>' + message['role'] + '\\n' + message['content'] + '<end_of_turn>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
DROPS_SYSTEM = CHATML.replace("in messages %}", "in messages if message['role'] != 'system' %}")


@pytest.mark.parametrize(
    ("lang", "question", "wanted"),
    [
        ("hi", "आप कौन हैं?", "प्रश्न: आप कौन हैं?\nउत्तर:"),
        ("kn", "ನೀವು ಯಾರು?", "ಪ್ರಶ್ನೆ: ನೀವು ಯಾರು?\nಉತ್ತರ:"),
        ("en", "Who are you?", "Question: Who are you?\nAnswer:"),
    ],
)
def test_the_plain_form_is_worded_in_the_questions_language(
    lang: Lang, question: str, wanted: str
) -> None:
    assert PLAIN.render(question, lang) == wanted
    assert PLAIN.answer_prefix == " "


def test_the_plain_form_puts_system_first_and_the_text_behind_the_question() -> None:
    got = PLAIN.render("Q?", "en", input="A text.", system="Be brief.")
    assert got == "Be brief.\n\nQuestion: Q?\nText: A text.\nAnswer:"


def test_a_chat_template_is_rendered_up_to_where_the_answer_begins() -> None:
    template = make_template(CHATML, "<eos>")
    assert template.render("Hi", "en", input="Text", system="Be brief.") == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi\n\nText<|im_end|>\n<|im_start|>assistant\n"
    )
    assert template.end_of_turn == "<|im_end|>" and template.answer_prefix == ""
    assert template.stops("hi") == ("<|im_end|>",)


def test_a_template_that_refuses_the_system_role_says_so_in_its_own_words() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    with pytest.raises(InputError, match="no system role") as caught:
        make_template(GEMMA_IT, "<eos>").converse(turns)
    assert "leave the system prompt out" in str(caught.value)


@pytest.mark.parametrize("source", [GEMMA_IT, DROPS_SYSTEM], ids=["refuses", "drops"])
def test_a_system_prompt_that_a_template_lacks_a_place_for_opens_the_question(source: str) -> None:
    template = make_template(source, "<eos>")
    assert not template.knows_system()
    assert template.render("Hi", "en", system="Be brief.") == template.render(
        "Be brief.\n\nHi", "en"
    )


def test_a_system_prompt_in_the_middle_opens_the_next_question() -> None:
    words = [("user", "a"), ("assistant", "b"), ("system", "S"), ("user", "c")]
    turns = [{"role": role, "content": said} for role, said in words]
    folded = with_system(make_template(GEMMA_IT, "<eos>"), turns)
    assert [each["content"] for each in folded] == ["a", "b", "S\n\nc"]
    assert with_system(make_template(CHATML, "<eos>"), turns) == turns


def test_a_chat_template_cannot_reach_out_of_its_sandbox() -> None:
    source = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(InputError):
        Template("chat", "<eos>", source).render("Hi", "en")


def test_the_plain_form_stops_at_the_next_question_in_any_language_its_own_first() -> None:
    assert PLAIN.stops("kn") == ("\nಪ್ರಶ್ನೆ:", "\nप्रश्न:", "\nQuestion:")


def test_the_hash_changes_with_everything_that_changes_a_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {
        PLAIN.hash,
        make_template("", "</s>").hash,
        make_template(CHATML, "<eos>").hash,
        make_template(CHATML + " ", "<eos>").hash,
        make_template(GEMMA_IT, "<eos>").hash,
    }
    assert len(seen) == 5 and all(len(each) == 16 for each in seen)
    assert make_template("", "<eos>").hash == PLAIN.hash
    monkeypatch.setitem(LABELS, "hi", ("सवाल", "पाठ", "जवाब"))
    assert make_template("", "<eos>").hash not in seen


def test_the_hash_of_the_plain_form_is_the_same_on_every_machine() -> None:
    assert PLAIN.hash == "50df17a65e1cb1df"


def test_the_studys_system_prompt_is_there_in_every_language_and_its_own_script() -> None:
    assert set(STUDY_SYSTEM_PROMPTS) == set(LANGUAGES)
    for lang, block in (("hi", range(0x900, 0x980)), ("kn", range(0xC80, 0xD00))):
        text = STUDY_SYSTEM_PROMPTS[lang]  # type: ignore[index]
        assert sum(ord(letter) in block for letter in text) > 0.7 * len(text.replace(" ", ""))


def test_a_folders_template_comes_from_its_own_file_its_config_or_is_plain(tmp_path: Path) -> None:
    assert template_of(tmp_path).name == "plain"
    config: dict[str, object] = {"eos_token": {"content": "</s>"}}
    _write(tmp_path, config)
    assert template_of(tmp_path) == make_template("", "</s>")
    _write(tmp_path, config | {"chat_template": CHATML})
    assert template_of(tmp_path).source == CHATML
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": GEMMA_IT}]
    _write(tmp_path, config | {"chat_template": named})
    assert template_of(tmp_path).source == GEMMA_IT
    (tmp_path / "chat_template.jinja").write_text(CHATML)
    assert template_of(tmp_path).source == CHATML
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(BadFile):
        template_of(tmp_path)


@pytest.mark.real
def test_the_real_files_bring_their_templates(gemma_gguf: Path, smol_gguf: Path) -> None:
    assert template_of(gemma_gguf) == PLAIN
    smol = template_of(smol_gguf)
    assert smol.name == "chat" and smol.end_of_turn == "<|im_end|>"
    assert smol.render("Hi", "en", system="Be brief.") == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def _write(folder: Path, config: dict[str, object]) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
