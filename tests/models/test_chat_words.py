"""What a model's files say about its chat form, against what transformers reads from a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from seemant.core.errors import BadFile
from seemant.models.backends.tiny import BOS, EOS, write_tiny
from seemant.models.chat_words import read_form, words_of_folder, words_of_metadata
from seemant.models.prompts import template_of
from seemant.probe.config import ProbeConfig
from seemant.train.config import TrainConfig
from tests.models.chat_sources import EOS_TURNS, INST, PHI

NAMED = [{"name": "tool_use", "template": PHI}, {"name": "default", "template": INST}]


@pytest.mark.parametrize(
    ("config", "jinja"),
    [
        ({"chat_template": INST, "bos_token": "<s>", "eos_token": "</s>"}, None),
        ({"chat_template": NAMED, "bos_token": {"content": "<s>"}, "eos_token": "</s>"}, None),
        ({"chat_template": INST, "eos_token": "</s>", "pad_token": "<pad>"}, EOS_TURNS),
        ({"eos_token": "</s>", "unk_token": "<unk>", "bos_token": None}, PHI),
    ],
)
def test_a_folder_says_what_transformers_reads_from_it(
    config: dict[str, Any], jinja: str | None, tmp_path: Path
) -> None:
    pieces = {piece: i for i, piece in enumerate(("<s>", "</s>", "<pad>", "<unk>"))}
    Tokenizer(models.WordLevel(pieces, "<unk>")).save(str(tmp_path / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    config = {
        key: {
            "content": value["content"],
            "__type": "AddedToken",
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "single_word": False,
        }
        if isinstance(value, dict)
        else value
        for key, value in config.items()
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if jinja:
        (tmp_path / "chat_template.jinja").write_text(jinja)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = words_of_folder(tmp_path)
    wanted = {
        key: value for key, value in theirs.special_tokens_map.items() if isinstance(value, str)
    }
    assert ours.specials == wanted
    talk = [{"role": "user", "content": "a"}]
    assert template_of(tmp_path).converse(talk) == theirs.apply_chat_template(
        talk, tokenize=False, add_generation_prompt=True
    )


def test_several_templates_without_a_default_are_named(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "x"}, {"name": "rag", "template": "y"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    with pytest.raises(BadFile, match="rag, tool_use"):
        words_of_folder(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named[:1]}))
    assert words_of_folder(tmp_path).source == "x"


def test_a_gguf_file_names_its_pieces_by_id_and_odd_ids_are_none() -> None:
    metadata = {
        "tokenizer.ggml.tokens": ["<s>", "</s>", "<unk>", "<pad>"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2**32 - 1,
        "tokenizer.chat_template": INST,
    }
    words = words_of_metadata(metadata)
    assert words.source == INST
    assert words.specials == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def test_another_form_takes_the_place_of_the_models_own(tmp_path: Path) -> None:
    path, file = tmp_path / "m.gguf", tmp_path / "other.jinja"
    write_tiny(path, chat_template=PHI)
    file.write_text("\ufeff" + INST, encoding="utf-8")
    assert template_of(path).end_of_turn == "<|end|>"
    other = template_of(path, read_form(str(file)))
    assert other.render("q", "en") == f"{BOS}[INST] q [/INST]" and other.end_of_turn == EOS
    assert template_of(path, "plain").render("q", "en") == "Question: q\nAnswer:"


@pytest.mark.parametrize("kind", [ProbeConfig, TrainConfig])
def test_settings_keep_a_templates_text_and_can_be_read_again(
    kind: type[ProbeConfig] | type[TrainConfig], tmp_path: Path
) -> None:
    (tmp_path / "t.jinja").write_text(INST)
    config = kind(template=str(tmp_path / "t.jinja"))
    assert config.template == INST
    assert kind.model_validate(config.model_dump(mode="json")) == config
    assert kind(template="none").template is None and kind(template="plain").template == "plain"
    with pytest.raises(BadFile, match="no template file"):
        kind(template=str(tmp_path / "absent.jinja"))
