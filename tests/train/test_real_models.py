"""On the real models: a few steps of training mean the same in torch and in llama.cpp."""

import json
from pathlib import Path

import pytest

from seemant.core.jsonl import write_records
from seemant.core.records import Pair
from seemant.core.stage import execute, file_input
from seemant.models.backends.open import open_backend
from seemant.models.prompts import template_of
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE
from tests.train.tiny import pair

pytestmark = pytest.mark.real

PAIRS = [
    pair("भारत की राजधानी क्या है?", "भारत की राजधानी नई दिल्ली है।", lang="hi"),
    pair("तुम कौन हो?", "मैं एक छोटा भाषा मॉडल हूँ।", lang="hi"),
]
CONFIG = TrainConfig(
    rank=4, lr=3e-3, steps=4, batch=2, accumulation=1, warmup=1, heldout_share=0.0, threads=1
)


def nats(path: Path, adapter: Path | None, kind: str, pairs: list[Pair]) -> float:
    """The log-probability of all answers."""
    template = template_of(path)
    with open_backend(path, kind=kind, adapter=adapter, threads=1, context=256) as backend:
        return sum(
            backend.loglikelihood(
                template.render(each.instruction, each.lang),
                [template.answer_prefix + each.output],
            )[0].nats
            for each in pairs
        )


@pytest.mark.parametrize("fixture", ["smol_gguf", "gemma_gguf"])
def test_the_gguf_adapter_does_in_llama_cpp_what_the_student_does_in_torch(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = request.getfixturevalue(fixture)
    write_records(tmp_path / "pairs.jsonl", PAIRS)
    inputs = {"model": file_input(path, "path:base"), "pairs": file_input(tmp_path / "pairs.jsonl")}
    done = execute(STAGE, CONFIG, inputs, store=tmp_path, out=tmp_path / "student")

    gain = {
        kind: nats(path, done.path, kind, PAIRS) - nats(path, None, kind, PAIRS)
        for kind in ("torch", "llamacpp")
    }
    assert gain["torch"] > 5.0  # nats over both answers; a wrong sign or layout would lose some
    assert gain["llamacpp"] == pytest.approx(gain["torch"], rel=0.2)
    lines = (done.path / "losses.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["loss"] < json.loads(lines[0])["loss"]
