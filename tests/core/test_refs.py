"""Model references: the documented forms, and errors that list them."""

from pathlib import Path

import pytest

from seemant.core.errors import UnknownModel
from seemant.core.refs import ModelRef, parse_ref, short_name


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("embedded:gemma-3-270m", ModelRef("embedded", "gemma-3-270m")),
        ("hf:Qwen/Qwen2.5-0.5B@abc", ModelRef("hf", "Qwen/Qwen2.5-0.5B", "abc")),
        ("path:a@b.gguf", ModelRef("path", "a@b.gguf")),
        ("openai:http://127.0.0.1:1/v1#m", ModelRef("openai", "http://127.0.0.1:1/v1#m")),
    ],
)
def test_a_reference_is_parsed_and_written_back(text: str, ref: ModelRef) -> None:
    assert parse_ref(text) == ref
    assert str(ref) == text


def test_a_bare_existing_path_is_a_path(tmp_path: Path) -> None:
    assert parse_ref(str(tmp_path)) == ModelRef("path", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("embeded:gemma", "embedded"),
        ("gemma", "embedded:gemma-3-270m"),
        ("hf:", "OWNER/NAME"),
        ("openai:http://x/v1", "#MODEL"),
    ],
)
def test_a_wrong_reference_shows_the_right_form(text: str, hint: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        parse_ref(text)
    assert caught.value.fix and hint in caught.value.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("embedded:gemma-3-270m", "gemma-3-270m"),
        ("hf:Qwen/Qwen2.5-0.5B@abc", "Qwen2.5-0.5B"),
        ("path:/x/foo/model.gguf", "foo"),
        ("path:/x/tiny.gguf", "tiny"),
        ("path:/x/a@b.gguf", "a@b"),
        ("path:/x/model", "model"),
        ("run:runs/compress/0123", "0123"),
        ("run:runs/compress/0123/", "0123"),
        ("openai:http://127.0.0.1:1/v1#Qwen/qwen", "qwen"),
        ("train:0123", "0123"),
        ("local.gguf", "local"),
        ("gemma", "gemma"),
    ],
)
def test_a_model_has_one_short_name(ref: str, name: str) -> None:
    assert short_name(ref) == name


def test_a_bare_file_and_a_dot_are_called_by_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_name("path:model.gguf") == short_name("path:.") == tmp_path.name
