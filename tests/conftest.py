"""Fixtures shared by all rooms: real models, the data folder, a machine held to one thread."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Derandomised, so that a red build can be replayed; no deadline, so that a busy machine is no bug.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci")


def _embedded(name: str) -> Path:
    from seemant.core.errors import SeemantError
    from seemant.models.resolve import resolve

    try:
        return resolve(f"embedded:{name}").path
    except SeemantError:
        pytest.skip(f"embedded model {name} is not in the cache: seemant models fetch")


@pytest.fixture(scope="session")
def gemma_gguf() -> Path:
    """Gemma 3 270M, the real file."""
    return _embedded("gemma-3-270m")


@pytest.fixture(scope="session")
def smol_gguf() -> Path:
    """SmolLM2-135M-Instruct, the real file."""
    return _embedded("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real evaluation data."""
    from seemant.core.paths import data_dir as find

    folder = find()
    if folder is None:
        pytest.skip("no data folder: set SEEMANT_DATA")
    return folder
