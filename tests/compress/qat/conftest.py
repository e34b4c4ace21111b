"""A tiny model as a file, text for it, and a student with its teacher."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seemant.compress.config import CompressConfig
from seemant.compress.qat.loop import Plan
from seemant.compress.qat.start import nearest_start
from seemant.compress.qat.student import Mode, Rates, Student, build_student, reference_weights
from seemant.compress.qat.teacher import Teacher, teacher_of
from seemant.compress.source import Source
from seemant.core.jsonl import write_records
from seemant.core.records import Paragraph
from seemant.formats.gguf_read import open_gguf
from seemant.models.backends.tiny import write_tiny
from seemant.models.decoder.load import frozen_decoder

SEQUENCES = tuple(tuple((7 * i + 3 * j * j) % 250 for j in range(24)) for i in range(6))
RATES = Rates(scale=3e-3, weight=0.05, lora=0.02, norm=1e-3)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny(path)
    return path


@pytest.fixture
def paragraphs(tmp_path: Path) -> Path:
    path = tmp_path / "text.jsonl"
    texts = {"en": "the cat and the dog ", "hi": "नदी बहती है "}
    records = [
        Paragraph(id=f"{lang}{i}", lang=lang, subject="x", text=f"{i} " + text * 8)
        for lang, text in texts.items()
        for i in range(6)
    ]
    write_records(path, records)
    return path


@pytest.fixture
def pair(tiny: Path, tmp_path: Path) -> Callable[..., tuple[Student, Teacher]]:
    """A student of 3-bit matrices that starts at the nearest codes, and its teacher."""

    def make(mode: Mode = "scales") -> tuple[Student, Teacher]:
        source = Source(open_gguf(tiny), {})
        weights = reference_weights(source.file, source)
        teacher = teacher_of(
            frozen_decoder(weights, "float", "float", "float32"), SEQUENCES, tmp_path, "tiny"
        )
        start = nearest_start(source, CompressConfig(bits=3))
        return build_student(start, source, mode, rank=4), teacher

    return make


def plan(steps: int, **changes: object) -> Plan:
    given: dict[str, object] = {"batch": 3, "micro": 2, "rates": RATES, "save_every": 3}
    return Plan(steps=steps, **(given | changes))  # type: ignore[arg-type]
