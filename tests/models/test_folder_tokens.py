"""Tokens that stand beside tokenizer.json, against transformers' own reading of the folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from seemant.models.tokenizer import tokenizer_of_folder, tokenizer_of_metadata
from tests.models.tiny import byte_level_metadata

TEXT = "a <gate> b<gate><lock>"
GATE = {"content": "<gate>", "special": True, "normalized": False}
LOCK = {"content": "<lock>", "special": False, "normalized": True}


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config.json": {"added_tokens_decoder": {"300": LOCK, "299": GATE}}},
        {"tokenizer_config.json": {"pad_token": "<gate>", "extra_special_tokens": ["<lock>"]}},
        {
            "added_tokens.json": {"<lock>": 260, "<gate>": 259},
            "special_tokens_map.json": {"pad_token": "<gate>"},
        },
        {
            "tokenizer_config.json": {"added_tokens_decoder": {"299": GATE}},
            "added_tokens.json": {"<lock>": 260},
        },
    ],
)
def test_ids_are_those_that_transformers_gives(files: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer_of_metadata(byte_level_metadata()).save(tmp_path)
    for name, said in files.items():
        path = tmp_path / name
        before = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(before | said))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = tokenizer_of_folder(tmp_path)
    assert ours.encode(TEXT, add_bos=False) == theirs.encode(TEXT, add_special_tokens=False)
    assert ours.id_of("<gate>") is not None
