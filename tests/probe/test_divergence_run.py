"""The divergence stage on a whole, tiny model: both routes, resumption, and torch-only variants."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from seemant.core.errors import BadRecord, InputError
from seemant.core.jsonl import read_records, write_records
from seemant.core.records import LANGUAGES, Paragraph
from seemant.core.stage import Done, execute, file_input
from seemant.formats.codes import save_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.grids import Grid, fit, grouped, snap, value
from seemant.models.backends.tiny import write_tiny
from seemant.models.load import load_torch
from seemant.probe import divergence_run
from seemant.probe.chunk_sums import Chunk
from seemant.probe.divergence_config import DivergenceConfig
from seemant.probe.divergence_run import STAGE
from seemant.probe.torch_rows import head_of, hidden_states

TEXTS = {"hi": "नदी बहती है", "kn": "ನದಿ ಹರಿಯುತ್ತದೆ", "en": "the river runs to the sea"}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a base model, a variant of other weights, text, and a cache of its own."""
    root = tmp_path_factory.mktemp("divergence")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEMANT_CACHE", str(root / "cache"))
        write_tiny(root / "base.gguf")
        (root / "variant").mkdir()
        write_tiny(root / "variant" / "model.gguf", seed=1)
        (root / "variant" / "variant.json").write_text('{"name": "q4_0-g32"}', encoding="utf-8")
        write_records(
            root / "text.jsonl",
            [
                Paragraph(id=f"{lang}-{n}", lang=lang, text=f"{TEXTS[lang]} {n}" * 3)
                for lang in LANGUAGES
                for n in range(10)
            ],
        )
        yield root


def _run(room: Path, store: Path, variant: str | None = "variant", **settings: object) -> Done:
    config = DivergenceConfig.model_validate(
        {"languages": ("hi", "en"), "tokens_per_language": 200, "tokens_per_paragraph": 20}
        | settings
    )
    inputs = {
        "model": file_input(room / "base.gguf", "embedded:tiny"),
        "paragraphs": file_input(room / "text.jsonl"),
    }
    if variant is not None:
        inputs["variant"] = file_input(room / variant)
    return execute(STAGE, config, inputs, store=store)


def _values(done: Done) -> dict[tuple[str, str | None, object], float]:
    return {(m.metric, m.lang, m.conditions["route"]): m.value for m in done.manifest.measurements}


@pytest.fixture(scope="module")
def whole(room: Path) -> Done:
    return _run(room, room / "store")


def test_both_routes_see_the_same_divergence_in_float32(whole: Done) -> None:
    found = _values(whole)
    for lang in ("hi", "en"):
        assert found["kld", lang, "weights"] > 0.01
        assert found["kld", lang, "deployed"] == pytest.approx(
            found["kld", lang, "weights"], rel=1e-3
        )
        assert abs(found["kld", lang, "runtime"]) < 1e-3
        assert found["perplexity_ratio", lang, "runtime"] == pytest.approx(1.0, abs=1e-3)


def test_subject_and_intervals_are_given(whole: Done) -> None:
    assert {m.subject for m in whole.manifest.measurements} == {"tiny/q4_0-g32"}
    kld = next(m for m in whole.manifest.measurements if m.metric == "kld")
    assert (kld.n, kld.n_clusters, kld.unit) == (200, 10, "nats/token")
    assert kld.ci_low is not None
    assert kld.ci_high is not None
    assert kld.ci_low <= kld.value <= kld.ci_high
    assert {m.conditions["engine"] for m in whole.manifest.measurements} == {"torch", "llamacpp"}


def test_chunks_hold_the_sums_of_the_measurements(whole: Done) -> None:
    chunks = read_records(whole.path / "chunks.jsonl", Chunk)
    assert len(chunks) == 2 * 2 * 10
    own = [c for c in chunks if (c.lang, c.route) == ("hi", "weights")]
    mean = sum(c.kld_sum for c in own) / sum(c.n for c in own)
    assert _values(whole)["kld", "hi", "weights"] == pytest.approx(mean)
    nll = sum(c.nll_ref_sum for c in own) / sum(c.n_bytes for c in own)
    assert _values(whole)["nll", "hi", "reference"] == pytest.approx(nll)


def test_hidden_states_and_head_give_the_models_own_log_probabilities(room: Path) -> None:
    model = load_torch(room / "base.gguf").model
    tokens = [256, *range(60, 100)]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([tokens[:-1]])).logits[0, 2:]
        expected = torch.log_softmax(logits, dim=-1).numpy()
    hidden = hidden_states(model, tokens, 3)
    head = head_of(model, copy=True)
    np.testing.assert_allclose(np.concatenate(list(head.rows(hidden))), expected, atol=1e-5)


def test_a_model_does_not_diverge_from_its_own_file(room: Path, tmp_path: Path) -> None:
    found = _values(_run(room, tmp_path, variant=None))
    assert found["kld", "hi", "deployed"] < 1e-5
    assert found["top1_agreement", "en", "deployed"] == 1.0
    assert ("kld", "hi", "weights") not in found


def test_a_torch_only_variant_has_the_weights_route_alone(room: Path, tmp_path: Path) -> None:
    name = "blk.0.attn_q.weight"
    matrix = open_gguf(room / "base.gguf").dequantize(name)
    groups = grouped(matrix, 32)
    params = fit(groups, Grid(8, 32, symmetric=False))
    codes = snap(groups, params)
    (tmp_path / "codes").mkdir()
    save_codes(tmp_path / "codes" / "codes.safetensors", {name: (codes, params)}, {})
    (tmp_path / "codes" / "variant.json").write_text('{"name": "rtn8"}', encoding="utf-8")
    inputs = {
        "model": file_input(room / "base.gguf", "embedded:tiny"),
        "paragraphs": file_input(room / "text.jsonl"),
        "variant": file_input(tmp_path / "codes"),
    }
    config = DivergenceConfig(languages=("en",), tokens_per_language=100, tokens_per_paragraph=20)
    found = _values(execute(STAGE, config, inputs, store=tmp_path / "store"))
    assert 0 < found["kld", "en", "weights"] < 1e-3  # 8 bits of one matrix
    assert ("kld", "en", "deployed") not in found
    assert np.abs(value(codes, params).reshape(matrix.shape) - matrix).max() > 0


def test_a_run_goes_on_from_its_journal(
    room: Path, tmp_path: Path, whole: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = divergence_run.compared
    seen: list[str] = []

    def failing(passage: object, *rest: object) -> dict[str, object]:
        seen.append(passage.paragraph_id)  # type: ignore[attr-defined]
        if len(seen) == 7:
            raise KeyboardInterrupt
        return compared(passage, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(divergence_run, "compared", failing)
    with pytest.raises(KeyboardInterrupt):
        _run(room, tmp_path)
    done = _run(room, tmp_path)
    assert len(seen) == 21  # twenty passages; the seventh was begun twice
    assert (done.path / "chunks.jsonl").read_bytes() == (whole.path / "chunks.jsonl").read_bytes()
    assert done.manifest.measurements == whole.manifest.measurements
    journal = (done.path / ".journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["paragraph_id"] for line in journal}) == len(journal) == 20


def test_a_language_without_text_is_a_clear_error(room: Path, tmp_path: Path) -> None:
    only = tmp_path / "only.jsonl"
    write_records(only, [Paragraph(id="a", lang="en", text="the sea is wide")])
    inputs = {
        "model": file_input(room / "base.gguf", "embedded:tiny"),
        "paragraphs": file_input(only),
    }
    with pytest.raises(BadRecord, match="no paragraph in 'hi'"):
        execute(STAGE, DivergenceConfig(), inputs, store=tmp_path / "store")


def test_turning_everything_off_is_a_clear_error(room: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to compare"):
        _run(room, tmp_path, weights=False, deployed=False)
