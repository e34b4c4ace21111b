"""The embedded Gemma itself: a few paragraphs, the same files whatever the number of workers."""

from pathlib import Path

import pytest

from seemant.core.records import Lang
from seemant.core.stage import execute, file_input
from seemant.corpus.shipped import shipped
from seemant.distill.config import DistillConfig
from seemant.distill.run import STAGE

NAMES = ["pairs.jsonl", "dropped.jsonl", "journal.jsonl", "samples.json"]


@pytest.mark.real
def test_the_embedded_teacher_gives_the_same_pairs_with_one_worker_and_with_two(
    gemma_gguf: Path, tmp_path: Path
) -> None:
    langs: tuple[Lang, ...] = ("hi", "kn")
    paragraphs = tmp_path / "paragraphs.jsonl"
    chosen = [paragraph for lang in langs for paragraph in shipped(lang)[5:7]]
    paragraphs.write_text("".join(each.model_dump_json() + "\n" for each in chosen))
    inputs = {
        "paragraphs": file_input(paragraphs),
        "teacher": file_input(gemma_gguf, "embedded:gemma-3-270m"),
    }
    files = []
    for workers in (1, 2):
        config = DistillConfig(workers=workers, attempts=2)
        done = execute(STAGE, config, inputs, store=tmp_path)
        files.append({name: (done.path / name).read_bytes() for name in NAMES})
        share = next(m for m in done.manifest.measurements if m.metric == "yield")
        assert share.subject == "gemma-3-270m" and share.n == 4
    assert files[0] == files[1]
    assert files[0]["pairs.jsonl"]
