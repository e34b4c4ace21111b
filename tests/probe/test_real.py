"""Gemma 3 270M as it is: its margins know something, and llama.cpp has its own price."""

from pathlib import Path

import pytest

from seemant.core.jsonl import read_records, write_records
from seemant.core.records import Lang, Transcript
from seemant.core.stage import Done, execute, file_input
from seemant.corpus.shipped import shipped
from seemant.corpus.splits import split_of
from seemant.probe.config import ProbeConfig
from seemant.probe.divergence_config import DivergenceConfig
from seemant.probe.divergence_run import STAGE as DIVERGENCE
from seemant.probe.run import STAGE as PROBE

pytestmark = pytest.mark.real


def _probe(gguf: Path, store: Path, **settings: object) -> Done:
    config = ProbeConfig.model_validate({"languages": ("en",), "max_new_tokens": 8} | settings)
    given = {"model": file_input(gguf, "embedded:gemma-3-270m")}
    return execute(PROBE, config, given, store=store)


def test_english_margins_are_above_nought(gemma_gguf: Path, tmp_path: Path) -> None:
    done = _probe(gemma_gguf, tmp_path, generate=False, families=16)
    found = {(m.metric, m.lang): m for m in done.manifest.measurements}
    margin = found["pmi_margin", "en"]
    assert margin.n_clusters == 16
    assert margin.value > 0
    assert found["merged_borders", "en"].value == 0


def test_greedy_answers_come_again(gemma_gguf: Path, tmp_path: Path) -> None:
    settings: dict[str, object] = {"likelihood": False, "families": 2, "languages": ("hi", "en")}
    runs = [_probe(gemma_gguf, tmp_path / name, **settings) for name in ("a", "b")]
    said = [read_records(run.path / "transcripts.jsonl", Transcript) for run in runs]
    assert said[0] == said[1]
    assert {t.backend for t in said[0]} == {"llamacpp"}


def test_the_runtimes_price_is_higher_in_indic_text(gemma_gguf: Path, tmp_path: Path) -> None:
    languages: tuple[Lang, ...] = ("kn", "en")
    text = [p for lang in languages for p in shipped(lang) if split_of(p.id) == "heldout"]
    write_records(tmp_path / "text.jsonl", text)
    given = {
        "model": file_input(gemma_gguf, "embedded:gemma-3-270m"),
        "paragraphs": file_input(tmp_path / "text.jsonl"),
    }
    config = DivergenceConfig(languages=languages, tokens_per_language=128)
    done = execute(DIVERGENCE, config, given, store=tmp_path / "store")
    kld = {m.lang: m.value for m in done.manifest.measurements if m.metric == "kld"}
    assert 0.02 < kld["kn"] < 0.12
    assert 0.001 < kld["en"] < 0.02
