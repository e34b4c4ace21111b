"""Paragraphs for the tests of this room."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helper beside this file

from fake_server import paragraph


@pytest.fixture
def paragraphs_file(tmp_path: Path) -> Path:
    """Twelve English paragraphs as a .jsonl file."""
    path = tmp_path / "paragraphs.jsonl"
    path.write_text("".join(paragraph(at).model_dump_json() + "\n" for at in range(12)))
    return path
