"""A wrong study or stage file is answered with the key, its line and the nearest valid key."""

from pathlib import Path

import pytest

from seemant.core.config import Config, load_yaml, parse_bytes, validate
from seemant.core.errors import BadConfig, BadFile


class Inner(Config):
    """Nested settings."""

    rank: int = 8


class Outer(Config):
    """Settings with a nested part."""

    steps: int = 1
    inner: Inner = Inner()


def load(tmp_path: Path, text: str) -> Outer:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    value, lines = load_yaml(path)
    return validate(Outer, value, where=str(path), lines=lines)


@pytest.mark.parametrize(
    ("text", "size"), [("3.2GB", 3.2e9), ("200 MB", 200e6), ("1GiB", 2**30), (5, 5), ("5", "5")]
)
def test_sizes_may_be_written_with_their_unit(text: object, size: object) -> None:
    assert parse_bytes(text) == size


def test_a_good_file_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, "steps: 3\ninner:\n  rank: 4\n") == Outer(steps=3, inner=Inner(rank=4))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("steps: 3\nstepz: 4\n", 2, ["stepz", "steps"]),
        ("steps: 3\ninner:\n  rnk: 4\n", 3, ["inner.rnk", "rank"]),
        ("steps: many\n", 1, ["steps", "many"]),
        ("steps: 1\nsteps: 2\n", 2, ["twice"]),
        ("steps: [1\n", 2, ["YAML"]),
    ],
)
def test_a_wrong_file_names_key_line_and_nearest(
    tmp_path: Path, text: str, line: int, words: list[str]
) -> None:
    with pytest.raises(BadConfig) as caught:
        load(tmp_path, text)
    assert caught.value.where == f"{tmp_path / 'f.yaml'}:{line}"
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        load_yaml(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="UTF-8"):
        load_yaml(tmp_path / "b.yaml")
