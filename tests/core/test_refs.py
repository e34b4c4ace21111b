"""Model references: the documented forms, and errors that list them."""

from pathlib import Path

import pytest

from seemant.core.errors import UnknownModel
from seemant.core.refs import ModelRef, parse_ref


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
