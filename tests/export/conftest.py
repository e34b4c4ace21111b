"""A small variant's folder, as compress leaves it, and evidence about it."""

import json
from pathlib import Path

import numpy as np
import pytest

from seemant.core.manifest import Manifest, commit_manifest
from seemant.core.measurement import TOO_FEW, Measurement
from seemant.formats.gguf_write import TensorData, write_gguf

METADATA = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "general.license": "apache-2.0",
    "llama.context_length": 512,
    "tokenizer.ggml.tokens": ["<s>", "</s>"],
    "tokenizer.ggml.eos_token_id": 1,
}
VARIANT = {
    "name": "int3-sym-g32",
    "subject": "tiny+lora/int3-sym-g32",
    "method": "rtn",
    "bits": 3,
    "group": 32,
    "symmetric": True,
    "embedding": "q4_0",
    "embedding_bits": 4,
    "container": "Q4_0",
    "simulated": True,
    "on_reference_grid": False,
    "bits_per_weight_file": 5.25,
    "relative_error": {"blocks": 0.2},
    "integers_sha256": "ab" * 32,
    "base": {"label": "embedded:tiny", "sha256": "cd" * 32},
    "adapter": {"label": "train:01", "sha256": "ef" * 32},
    "licence": "apache-2.0",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A GGUF file."""
    values = np.arange(64, dtype=np.float32).reshape(1, 64)
    write_gguf(tmp_path / "m.gguf", METADATA, {"w": TensorData("F32", (1, 64), values)})
    return tmp_path / "m.gguf"


@pytest.fixture
def variant(tmp_path: Path, model: Path) -> Path:
    """A compress artefact."""
    folder = tmp_path / "variant"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(model.read_bytes())
    (folder / "variant.json").write_text(json.dumps(VARIANT))
    return folder


@pytest.fixture
def probed(tmp_path: Path) -> Path:
    """A probe artefact: an interval, a refusal of one, a reported number and a time."""
    common = {"subject": "tiny|x", "unit": "share", "n": 40}
    rows = [
        Measurement(
            **common,
            metric="accuracy",
            lang="hi",
            value=0.25,
            ci_low=0.125,
            ci_high=0.375,
            ci_method="bootstrap",
            n_clusters=40,
        ),
        Measurement(**common, metric="few", value=0.5, ci_method=TOO_FEW),
        Measurement(
            **common,
            metric="other",
            value=1.0,
            ci_method="none: as printed",
            origin="reported",
            source="their card",
        ),
        Measurement(subject="tiny", metric="took", unit="s", n=1, value=9.0, ci_method="exact"),
    ]
    folder = tmp_path / "probed"
    folder.mkdir()
    manifest = Manifest(
        stage="probe",
        stage_version=1,
        id="0123",
        config={},
        inputs={},
        files=[],
        measurements=rows,
        wall_s=1,
        cpu_s=1,
        peak_rss_bytes=1,
        seeds={},
        packages={},
        hardware={},
        git=None,
        created="",
    )
    commit_manifest(folder, manifest)
    return folder
