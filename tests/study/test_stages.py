"""What holds for every stage of the table."""

from pathlib import Path

import pytest

from seemant.core.stage import Input, identity
from seemant.models.backends import check, llama_c
from seemant.models.backends.llama_c import NoLlamaCpp
from seemant.models.backends.tiny import write_tiny
from seemant.study.stages import STAGES, stage_named


def test_shipped_data_is_named_by_the_stages_that_read_it() -> None:
    told = {name: stage_named(name).data for name in STAGES}
    for name in ("corpus", "probe"):
        assert "corpus/data/*.jsonl" in told[name]
    assert "probe/data/families.jsonl" in told["probe"]
    assert "bench/devices.toml" in told["recommend"]
    for name in STAGES:  # every pattern finds its files
        assert identity(stage_named(name), stage_named(name).config(), {})


def test_what_reads_this_machine_belongs_to_it() -> None:
    bound = {name for name in STAGES if stage_named(name).hardware_bound}
    assert bound == {"bench", "recommend"}


def test_stages_never_measure_another_engine_than_the_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.probe import divergence_run
    from seemant.probe.config import ProbeConfig
    from seemant.probe.divergence_config import DivergenceConfig
    from seemant.probe.run import open_engine

    path = tmp_path / "tiny.gguf"
    write_tiny(path)
    model = Input(path, "path:tiny.gguf", "0" * 64)
    check.check_llamacpp.cache_clear()
    llama_c.library.cache_clear()
    monkeypatch.setattr(llama_c, "WHEEL_VERSION", "1.0")
    try:
        backend, _ = open_engine(ProbeConfig(), model, None)
        with pytest.raises(NoLlamaCpp), backend:
            pass
        routes = divergence_run._maybe_deployed(
            DivergenceConfig(), {"model": model}, (divergence_run.DEPLOYED,)
        )
        with pytest.raises(NoLlamaCpp), routes:
            pass
    finally:
        check.check_llamacpp.cache_clear()
        llama_c.library.cache_clear()
