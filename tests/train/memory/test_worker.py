"""The worker itself, on a tiny model: what a run under a limit makes is what a free run makes."""

from pathlib import Path

import pytest

from seemant.core import machine_cache
from seemant.core.jsonl import read_json, write_json, write_records
from seemant.core.runlog import read_events
from seemant.core.stage import Done, Input, execute, file_input
from seemant.train.config import TrainConfig
from seemant.train.memory.worker import FOLDER, MEASUREMENTS
from seemant.train.run import STAGE
from tests.train.tiny import pair

TINY = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "tie_word_embeddings": True,
}
SAME = ("adapter/adapter_model.safetensors", "losses.jsonl")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    machine_cache.remember("runtime_bytes_torch", 250_000_000)


def train(folder: Path, name: str, **more: object) -> Done:
    config = TrainConfig.model_validate(
        {"rank": 2, "steps": 3, "batch": 1, "accumulation": 2, "save_every": 1, "threads": 1,
         "heldout_share": 0.0, "max_length": 128, "languages": ["en"], "warmup": 0, **more}
    )  # fmt: skip
    inputs = {
        "model": Input(folder / "config.json", "config:tiny", "0" * 64),
        "pairs": file_input(folder / "pairs.jsonl"),
    }
    return execute(STAGE, config, inputs, store=folder / name, out=folder / name)


def test_a_held_run_leaves_the_bytes_of_a_free_one_and_what_it_took(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", TINY)
    pairs = [pair(f"What is {i}?", f"It is {i}.", paragraph_id=f"p{i}") for i in range(8)]
    write_records(tmp_path / "pairs.jsonl", pairs)
    held = train(tmp_path, "held", memory_limit="1GB")
    said = read_json(held.path / FOLDER / MEASUREMENTS)
    (limit,) = read_events(held.path, "limit")
    assert limit["ending"] == "done" and limit["peak_rss"] == said["peak_rss"]
    assert 5e7 < said["peak_rss"] < 1e9
    (used,) = read_events(held.path, "plan")
    free = train(
        tmp_path, "free", batch=used["micro"], accumulation=used["accumulation"],
        checkpointing=used["checkpointing"],
    )  # fmt: skip
    for name in SAME:
        assert (held.path / name).read_bytes() == (free.path / name).read_bytes(), name
