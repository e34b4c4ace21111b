"""Where a run's pairs come from."""

from pathlib import Path

import pytest

from seemant.core.errors import BadRecord
from seemant.train.rows.dataset import pairs_file


def test_an_artefact_without_a_pair_is_the_teacher_s_failure_not_the_file_s(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("")
    with pytest.raises(BadRecord, match="the teacher wrote no pair") as caught:
        pairs_file(tmp_path)
    assert caught.value.fix and "more paragraphs" in caught.value.fix
    assert str(tmp_path / "dropped.jsonl") in caught.value.fix


def test_pairs_are_an_artefact_s_file_or_the_file_itself(tmp_path: Path) -> None:
    own = tmp_path / "my.csv"
    own.write_text("question,answer\n")
    assert pairs_file(own) == own
    (tmp_path / "pairs.jsonl").write_text("{}\n")
    assert pairs_file(tmp_path) == tmp_path / "pairs.jsonl"
