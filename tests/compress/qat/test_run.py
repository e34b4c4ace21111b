"""The stage: a trained file that holds what the forward used, from nearest codes or a variant."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.compress.config import CompressConfig
from seemant.compress.qat.config import QatConfig
from seemant.compress.qat.run import STAGE
from seemant.compress.qat.text import batch_at, training_text
from seemant.compress.run import STAGE as COMPRESS
from seemant.core.errors import BadConfig, BadFile
from seemant.core.jsonl import write_records
from seemant.core.records import Paragraph
from seemant.core.stage import Done, execute, file_input
from seemant.formats.gguf_read import open_gguf
from seemant.models.backends.tiny import write_tiny
from seemant.models.tokenizer import tokenizer_of_metadata

SETTINGS: dict[str, Any] = {"length": 24, "batch": 2, "micro": 2, "tokens": 480, "threads": 1}


def qat(model: Path, text: Path, out: Path, *, variant: Done | None = None, **more: Any) -> Done:
    inputs = {"model": file_input(model, "path:tiny"), "paragraphs": file_input(text)}
    if variant is not None:
        inputs["variant"] = variant.as_input("compress:tiny")
    return execute(STAGE, QatConfig(**{**SETTINGS, **more}), inputs, store=out)


def compressed(model: Path, out: Path, **settings: Any) -> Done:
    given = {"model": file_input(model, "path:tiny")}
    return execute(COMPRESS, CompressConfig(**settings), given, store=out)


@pytest.mark.parametrize(("mode", "symmetric"), [("full", True), ("full", False), ("lora", True)])
def test_a_model_is_trained_from_its_nearest_codes(
    tiny: Path, paragraphs: Path, tmp_path: Path, mode: str, symmetric: bool
) -> None:
    done = qat(tiny, paragraphs, tmp_path, mode=mode, symmetric=symmetric)
    told = json.loads((done.path / "variant.json").read_text())
    assert told["method"] == f"qat-{mode}" and told["start"] is None
    assert told["name"] == ("q4_0-g32" if symmetric else "q4_1-g32") + (
        "-qat" if mode == "full" else "-qat-lora"
    )
    assert told["tokens_trained"] == 480 and not told["simulated"]
    file, base = open_gguf(done.path / "model.gguf"), open_gguf(tiny)
    assert file.tensors["blk.0.ffn_up.weight"].type_name == ("Q4_0" if symmetric else "Q4_1")
    assert file.tensors["token_embd.weight"].type_name == "Q8_0"
    assert f"qat-{mode}" in str(file.metadata["seemant.quantisation"])
    norms = [n for n in file.tensors if n.endswith("norm.weight")]
    moved = [np.abs(file.dequantize(n) - base.dequantize(n)).max() for n in norms]
    assert norms and all(0 < each < 0.1 for each in moved)
    found = {(m.metric, m.lang): m.value for m in done.manifest.measurements}
    before, after = (
        sum(found[f"qat_kld_{when}", lang] for lang in ("en", "hi")) for when in ("before", "after")
    )
    assert after < 0.95 * before
    assert len((done.path / "losses.jsonl").read_text().splitlines()) == 10
    assert not list(done.path.glob(".checkpoints")) and not list(done.path.glob(".teacher"))


def test_the_codes_of_a_variant_stay_in_scales_mode_and_3_bits_are_called_simulated(
    tiny: Path, paragraphs: Path, tmp_path: Path
) -> None:
    variant = compressed(tiny, tmp_path, bits=3)
    done = qat(tiny, paragraphs, tmp_path, variant=variant, mode="scales")
    told = json.loads((done.path / "variant.json").read_text())
    assert told["codes_moved"] == 0
    assert told["simulated"] and told["bits"] == 3 and told["container"] == "Q4_0"
    assert told["name"] == json.loads((variant.path / "variant.json").read_text())["name"] + (
        "-qat-scales"
    )
    ours, theirs = (open_gguf(each.path / "model.gguf") for each in (done, variant))
    q = "blk.0.attn_q.weight"  # its rows are in another order in the decoder
    mine, given = (f.tensors[q].raw().reshape(-1, 18) for f in (ours, theirs))
    np.testing.assert_array_equal(mine[:, 2:], given[:, 2:])
    scales = mine[:, :2].copy().view("<f2").astype(float), given[:, :2].copy().view("<f2")
    assert 0 < np.abs(scales[0] / scales[1] - 1).max() < 0.05
    np.testing.assert_array_equal(
        ours.tensors["output.weight"].raw(), theirs.tensors["output.weight"].raw()
    )


@pytest.mark.parametrize("embedding", ["f16", "q5_0"])
def test_a_variant_s_embedding_keeps_its_own_format(
    tiny: Path, paragraphs: Path, tmp_path: Path, embedding: str
) -> None:
    variant = compressed(tiny, tmp_path, embedding_format=embedding)
    done = qat(tiny, paragraphs, tmp_path, variant=variant, tokens=48)
    told, given = (json.loads((d.path / "variant.json").read_text()) for d in (done, variant))
    for key in ("embedding", "embedding_bits", "formats", "format"):
        assert told[key] == given[key]
    ours, theirs = (open_gguf(d.path / "model.gguf") for d in (done, variant))
    name = "token_embd.weight"
    assert ours.tensors[name].type_name == embedding.upper() == theirs.tensors[name].type_name
    np.testing.assert_array_equal(ours.tensors[name].raw(), theirs.tensors[name].raw())


def test_a_variant_whose_every_matrix_has_its_own_format_is_trained(
    tiny: Path, paragraphs: Path, tmp_path: Path
) -> None:
    kinds = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    formats = [f"{kind}={'q5_0' if kind == 'ffn_down' else 'q4_1'}" for kind in kinds]
    variant = compressed(tiny, tmp_path, formats=formats)
    done = qat(tiny, paragraphs, tmp_path, variant=variant, tokens=48)
    told, given = (json.loads((d.path / "variant.json").read_text()) for d in (done, variant))
    assert told["format"] == "mixed"
    for key in ("format", "formats", "bits", "group", "symmetric", "container"):
        assert told[key] == given[key]
    types = {n: t.type_name for n, t in open_gguf(done.path / "model.gguf").tensors.items()}
    assert types["blk.0.ffn_down.weight"] == "Q5_0" and types["blk.0.attn_q.weight"] == "Q4_1"


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({"mode": "scales"}, "2:4"),
        ({"mode": "full", "lr_weight": 1e-6}, "2:4"),
        ({"mode": "full", "lr_weight": 0.5}, None),  # moves codes off 0
    ],
)
def test_a_pruned_start_s_pattern_is_told_as_long_as_it_is_there(
    tiny: Path, paragraphs: Path, tmp_path: Path, how: dict[str, Any], kept: str | None
) -> None:
    variant = compressed(tiny, tmp_path, method="magnitude", sparsity="2:4")
    done = qat(tiny, paragraphs, tmp_path, variant=variant, **how)
    assert json.loads((done.path / "variant.json").read_text())["sparsity"] == kept
    w = open_gguf(done.path / "model.gguf").dequantize("blk.0.ffn_up.weight").reshape(-1, 4)
    assert ((w != 0).sum(1).max() <= 2) == (kept is not None)
    plain = qat(tiny, paragraphs, tmp_path, variant=compressed(tiny, tmp_path), mode="scales")
    assert json.loads((plain.path / "variant.json").read_text())["sparsity"] is None


def test_a_language_with_less_text_is_trained_on_as_much(tiny: Path, tmp_path: Path) -> None:
    records = [
        Paragraph(id=f"{lang}{i}", lang=lang, subject="x", text=f"{i} " + text * 8)
        for lang, text, n in (("en", "the cat and the dog ", 12), ("hi", "नदी बहती है ", 3))
        for i in range(n)
    ]
    write_records(tmp_path / "uneven.jsonl", records)
    found = training_text(
        tmp_path / "uneven.jsonl",
        tokenizer_of_metadata(open_gguf(tiny).metadata, str(tiny)),
        languages=("en", "hi"),
        length=24,
        tokens=4800,
        n_heldout=2,
        seed=0,
    )
    en, hi = found.train[::2], found.train[1::2]
    assert len(en) == len(hi) > len(set(hi))
    assert not set(en) & set(hi)


def test_the_same_question_gives_the_same_file(
    tiny: Path, paragraphs: Path, tmp_path: Path
) -> None:
    one, two = (
        qat(tiny, paragraphs, tmp_path / name, mode="full", lr_weight=0.3) for name in ("a", "b")
    )
    assert json.loads((one.path / "variant.json").read_text())["codes_moved"] > 0
    assert (one.path / "model.gguf").read_bytes() == (two.path / "model.gguf").read_bytes()


def test_a_variant_of_another_model_is_refused(
    tiny: Path, paragraphs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    write_tiny(other, seed=1)
    with pytest.raises(BadFile, match="another model"):
        qat(tiny, paragraphs, tmp_path, variant=compressed(other, tmp_path))


def test_a_variant_without_a_model_file_and_a_grid_without_a_layout_are_refused(
    tiny: Path, paragraphs: Path, tmp_path: Path
) -> None:
    codes_only = compressed(tiny, tmp_path, bits=8, symmetric=False)
    with pytest.raises(BadFile, match=r"no model\.gguf"):
        qat(tiny, paragraphs, tmp_path, variant=codes_only)
    with pytest.raises(BadConfig, match="no GGUF layout"):
        qat(tiny, paragraphs, tmp_path, bits=8, symmetric=False)


def test_a_language_without_text_is_named(tiny: Path, paragraphs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no kn"):
        qat(tiny, paragraphs, tmp_path, languages=("en", "kn"))


def test_every_sequence_is_read_once_an_epoch() -> None:
    seen = [i for step in range(4) for i in batch_at(8, 2, step, seed=3)]
    assert sorted(seen) == list(range(8))
    assert seen == [i for step in range(2) for i in batch_at(8, 4, step, seed=3)]
    assert seen != [i for step in range(4, 8) for i in batch_at(8, 2, step, seed=3)]
