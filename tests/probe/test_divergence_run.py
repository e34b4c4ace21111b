"""The divergence stage on a whole, tiny model: both routes, resumption, and torch-only variants."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model

from seemant.core.errors import BadFile, BadRecord, InputError
from seemant.core.journal import Journal
from seemant.core.jsonl import read_records, write_records
from seemant.core.records import LANGUAGES, Paragraph
from seemant.core.stage import Done, execute, file_input
from seemant.formats.codes import save_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.grids import Grid, fit, grouped, snap, value
from seemant.models.backends.tiny import write_tiny
from seemant.models.decoder.weights import Weights
from seemant.models.expand import expand
from seemant.models.load import load_torch
from seemant.probe import compare, divergence_run
from seemant.probe.changed_weights import with_adapter, with_values
from seemant.probe.chunk_sums import Chunk
from seemant.probe.compare import states_of
from seemant.probe.divergence_config import DivergenceConfig
from seemant.probe.divergence_run import STAGE
from seemant.probe.passages import Passage
from seemant.probe.streamed import StreamedMatrix, file_weights

Rows = NDArray[np.float32]

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


def _log_probabilities(weights: Weights, tokens: list[int]) -> Rows:
    states = states_of(weights, [Passage("en", "x", tuple(tokens), 1)])
    with torch.inference_mode():
        slices = list(states.head.slices(states.hidden[0], 100))
        found: Rows = torch.log_softmax(torch.cat(slices, 1), dim=-1).numpy()
    return found


def _transformers(path: Path, tokens: list[int], **more: Any) -> Rows:
    with torch.inference_mode():
        logits = load_torch(path, **more).model(input_ids=torch.tensor([tokens[:-1]])).logits[0]
        found: Rows = torch.log_softmax(logits, dim=-1).numpy()
    return found


TOKENS = [256, *range(60, 100)]


def test_a_streamed_file_and_folder_give_transformers_own_log_probabilities(room: Path) -> None:
    expected = _transformers(room / "base.gguf", TOKENS)
    for place in (room / "base.gguf", expand(room / "base.gguf")):
        found = _log_probabilities(file_weights(place), TOKENS)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_adapter_and_other_values_are_what_transformers_computes(
    room: Path, tmp_path: Path
) -> None:
    plain = load_torch(room / "base.gguf").model
    settings = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "down_proj"])
    tuned = get_peft_model(plain, settings)
    generator = torch.Generator().manual_seed(0)
    for name, each in tuned.named_parameters():
        if "lora_B" in name:
            each.data = torch.randn(each.shape, generator=generator) / 10
    tuned.save_pretrained(str(tmp_path))
    weights = file_weights(room / "base.gguf")
    expected = _transformers(room / "base.gguf", TOKENS, adapter=tmp_path)
    found = _log_probabilities(with_adapter(weights, tmp_path), TOKENS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - _log_probabilities(weights, TOKENS)).max() > 0.01

    other = open_gguf(room / "variant" / "model.gguf")
    values = {n: other.dequantize(n) for n in ("blk.0.attn_k.weight", "token_embd.weight")}
    expected = _transformers(room / "base.gguf", TOKENS, replace=values)
    found = _log_probabilities(with_values(weights, values, "here"), TOKENS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_does_not_fit_the_model_is_named(room: Path, tmp_path: Path) -> None:
    weights = file_weights(room / "base.gguf")
    with pytest.raises(
        BadFile, match=r"another shape: model\.layers\.0\.self_attn\.q_proj\.weight"
    ):
        with_values(weights, {"blk.0.attn_q.weight": np.zeros((2, 2), np.float32)}, "here")


def test_a_streamed_matrix_gives_rows_as_they_are_asked() -> None:
    whole = torch.arange(60.0).view(20, 3)
    matrix = StreamedMatrix((20, 3), lambda: iter(torch.split(whole, 7)))
    ids = torch.tensor([19, 0, 7, 7, 13, 6])
    assert torch.equal(matrix.gather(ids, torch.float32), whole[ids])
    assert torch.equal(matrix.rows(5, 16, torch.float32), whole[5:16])
    assert torch.equal(matrix.dequantised(torch.float32), whole)


def test_groups_are_of_one_language_and_bounded_and_hold_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare, "GROUP_BYTES", 4 * 1000 * 25)  # 25 rows of 1,000 tokens
    passages = [
        Passage(lang, str(n), tuple(range(n + 1)), 1)
        for lang in ("hi", "en")
        for n in (10, 10, 10, 30, 5)
    ]
    assert compare.groups_of(passages, 1000) == [
        *(range(2), range(2, 3), range(3, 4), range(4, 5)),
        *(range(5, 7), range(7, 8), range(8, 9), range(9, 10)),
    ]


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
    compared = compare.compared
    seen: list[range] = []

    def failing(passages: object, group: range, *rest: object) -> list[dict[str, object]]:
        seen.append(group)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return compared(passages, group, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(divergence_run, "compared", failing)
    with pytest.raises(KeyboardInterrupt):
        _run(room, tmp_path)
    done = _run(room, tmp_path)
    assert seen == [range(10), range(10, 20), range(10, 20)]  # the second was begun twice
    _as_a_whole_run(done, whole)


def test_a_group_cut_short_is_compared_again_and_its_figures_come_again(
    room: Path, tmp_path: Path, whole: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal.append

    def failing(journal: Journal, entry: dict[str, Any]) -> None:
        if len(journal.entries) == 14:
            monkeypatch.setattr(Journal, "append", append)
            raise KeyboardInterrupt
        append(journal, entry)

    monkeypatch.setattr(Journal, "append", failing)
    with pytest.raises(KeyboardInterrupt):
        _run(room, tmp_path)
    _as_a_whole_run(_run(room, tmp_path), whole)


def _as_a_whole_run(done: Done, whole: Done) -> None:
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


def test_a_trimmed_vocabulary_is_refused_on_every_route(room: Path, tmp_path: Path) -> None:
    (room / "trimmed").mkdir(exist_ok=True)
    _cut_rows(room / "base.gguf", room / "trimmed" / "model.gguf")
    for routes in ({}, {"weights": False}, {"deployed": False}):
        with pytest.raises(BadFile, match="263 tokens and the model 264") as refused:
            _run(room, tmp_path, "trimmed", **routes)
        assert "trimmed" in str(refused.value.where) and refused.value.fix


def _cut_rows(source: Path, to: Path) -> None:
    """Write a model without its last token."""
    file = open_gguf(source)
    metadata = dict(file.metadata)
    for key, told in metadata.items():
        if key.startswith("tokenizer.ggml.") and isinstance(told, list) and len(told) == 264:
            metadata[key] = told[:-1]
    metadata = {k: 263 if k.endswith("vocab_size") else v for k, v in metadata.items()}
    values = {name: file.dequantize(name) for name in file.tensors}
    cut = {name: each[:263] if len(each) == 264 else each for name, each in values.items()}
    write_gguf(to, metadata, {n: TensorData("F32", v.shape, v) for n, v in cut.items()})


def test_an_adapter_beside_a_variant_is_the_same_as_one_merged_into_it(
    room: Path, tmp_path: Path
) -> None:
    settings = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "down_proj"])
    tuned = get_peft_model(load_torch(room / "base.gguf").model, settings)
    generator = torch.Generator().manual_seed(0)
    for name, each in tuned.named_parameters():
        if "lora_B" in name:
            each.data = torch.randn(each.shape, generator=generator) / 10
    tuned.save_pretrained(str(tmp_path / "adapter"))
    # The variant holds the base's own values, so that with the adapter beside it nothing is lost.
    (tmp_path / "same").mkdir()
    write_tiny(tmp_path / "same" / "model.gguf")
    (tmp_path / "same" / "variant.json").write_text('{"name": "f32"}', encoding="utf-8")
    config = DivergenceConfig(languages=("hi",), tokens_per_language=200, tokens_per_paragraph=20)
    adapter = file_input(tmp_path / "adapter", "tuned")
    inputs = {
        "model": file_input(room / "base.gguf", "embedded:tiny"),
        "paragraphs": file_input(room / "text.jsonl"),
        "variant": file_input(tmp_path / "same"),
        "adapter": adapter,
    }
    without = _values(execute(STAGE, config, inputs, store=tmp_path / "a"))
    beside = execute(STAGE, config, {**inputs, "beside": adapter}, store=tmp_path / "b")
    found = _values(beside)
    assert without["kld", "hi", "weights"] > 0.001
    assert found["kld", "hi", "weights"] == pytest.approx(0, abs=1e-6)
    assert found["kld", "hi", "deployed"] < 1e-4
    assert {m.subject for m in beside.manifest.measurements} == {"tiny/f32+lora"}


def test_an_adapter_beside_no_variant_is_refused(room: Path, tmp_path: Path) -> None:
    inputs = {
        "model": file_input(room / "base.gguf", "embedded:tiny"),
        "paragraphs": file_input(room / "text.jsonl"),
        "beside": file_input(room / "variant"),
    }
    with pytest.raises(InputError, match="no variant"):
        execute(STAGE, DivergenceConfig(), inputs, store=tmp_path)
