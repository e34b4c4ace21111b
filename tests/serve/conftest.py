"""A tiny model, with and without a chat template, served on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seemant.models.backends.tiny import write_tiny
from seemant.serve.config import ServeConfig
from seemant.serve.server import running

TURNS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny(path)
    return path


@pytest.fixture(scope="session")
def chat_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat") / "chat.gguf"
    write_tiny(path, chat_template=TURNS)
    return path


@pytest.fixture
def address(tiny_gguf: Path) -> Iterator[str]:
    with running(tiny_gguf, ServeConfig(port=0, context=256)) as given:
        yield given
