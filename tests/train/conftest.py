"""Prompt forms of both real kinds, each with a small tokenizer."""

import pytest

from seemant.models.prompts import Template, make_template
from seemant.models.tokenizer import Tokenizer
from tests.train.tiny import CHATML, byte_level, sentencepiece


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
