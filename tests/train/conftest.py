"""Prompt forms of both real kinds, each with a small tokenizer; a tiny model on disk."""

from pathlib import Path

import pytest

from seemant.models.prompts import Template, make_template
from seemant.models.tokenizer import Tokenizer
from tests.train.tiny import CHATML, byte_level, sentencepiece, tiny_llama


@pytest.fixture(scope="session")
def plain() -> tuple[Template, Tokenizer]:
    return make_template("", "<eos>"), sentencepiece("▁D", "▁De", "an", "in")


@pytest.fixture(scope="session")
def chat() -> tuple[Template, Tokenizer]:
    return make_template(CHATML, "<|endoftext|>"), byte_level()


@pytest.fixture(params=["plain", "chat"])
def form(request: pytest.FixtureRequest) -> tuple[Template, Tokenizer]:
    """Both forms, one after the other."""
    value: tuple[Template, Tokenizer] = request.getfixturevalue(request.param)
    return value


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as a Hugging Face folder, plain prompts."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    tokenizer = byte_level()
    tiny_llama(tokenizer.n_tokens).save_pretrained(folder)
    tokenizer.save(folder)
    return folder
