"""The stage "rotate": the same function in a file that compress takes and that says its origin."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from seemant.compress.evaluate.head import Head
from seemant.compress.reference.config import ReferenceConfig
from seemant.compress.reference.run import STAGE as DITHER
from seemant.compress.rotate.config import RotateConfig
from seemant.compress.rotate.run import STAGE
from seemant.compress.rotate.write import write_rotated
from seemant.core.errors import BadConfig, BadFile
from seemant.core.stage import Done, execute, file_input
from seemant.export.run import STAGE as EXPORT
from seemant.formats.gguf_read import open_gguf
from seemant.models.decoder.load import load_decoder
from seemant.models.tokenizer import tokenizer_of_metadata

Make = Callable[..., Path]
Rotate = Callable[..., Done]


@pytest.fixture
def rotate(tmp_path: Path) -> Rotate:
    """Run the stage on a model file or folder."""

    def run(model: Path, seed: int = 0) -> Done:
        inputs = {"model": file_input(model, "path:tiny.gguf")}
        return execute(STAGE, RotateConfig(seed=seed), inputs, store=tmp_path / "runs")

    return run


def logits(path: Path, ids: Sequence[int] = (3, 1, 39, 7, 7, 20, 33, 0, 12)) -> torch.Tensor:
    """Logits of some tokens."""
    decoder = load_decoder(path, words=False).decoder
    head = Head.of(decoder)
    with torch.no_grad():
        return head.logits(decoder(torch.tensor(ids), [len(ids)]), 0, head.n_vocab)


@pytest.mark.parametrize("stored", ["F32", "Q4_0"])
def test_the_file_has_the_same_logits_a_head_of_its_own_and_says_what_it_is(
    tiny_model: Make, rotate: Rotate, stored: str
) -> None:
    model = tiny_model(stored=stored)
    done = rotate(model)
    old, new = open_gguf(model), open_gguf(done.path / "model.gguf")
    wanted, got = logits(model), logits(done.path)
    assert (got - wanted).abs().max() < 1e-5 * wanted.abs().max()
    assert {tensor.type_name for tensor in new.tensors.values()} == {"F32"}
    assert set(new.tensors) == {*old.tensors, "output.weight"}
    turned = "blk.0.attn_q.weight"
    assert np.abs(new.dequantize(turned) - old.dequantize(turned)).max() > 0.1
    assert "Modified from tiny" in new.metadata["general.description"]
    assert new.metadata["seemant.rotation_seed"] == 0
    facts = json.loads((done.path / "rotation.json").read_text())
    assert facts["head_untied"] and facts["weights_added"] == 40 * 64
    kind = "fp" if stored == "F32" else "dequantised file"
    assert facts["reference"]["kind"] == kind
    assert new.metadata.get("seemant.reference", "fp") == kind  # turned weights show no grid


def test_slices_give_what_whole_tensors_give(
    tiny_model: Make, rotate: Rotate, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    whole = open_gguf(rotate(model).path / "model.gguf")
    monkeypatch.setattr("seemant.compress.rotate.write._SLICE_WEIGHTS", 7 * 64)
    write_rotated(open_gguf(model), model.with_name("s.gguf"), 0)
    sliced = open_gguf(model.with_name("s.gguf"))
    for name in whole.tensors:
        np.testing.assert_allclose(sliced.dequantize(name), whole.dequantize(name), atol=2e-6)


def test_the_seed_decides(tiny_model: Make, rotate: Rotate) -> None:
    model = tiny_model()
    a, b = (open_gguf(rotate(model, seed).path / "model.gguf") for seed in (0, 1))
    assert (a.dequantize("token_embd.weight") != b.dequantize("token_embd.weight")).mean() > 0.5


def test_compress_takes_it_and_rounds_the_head_too(
    tiny_model: Make, rotate: Rotate, compress: Callable[..., Done]
) -> None:
    rotated = rotate(tiny_model())
    made = compress(rotated.path / "model.gguf", bits=4)
    types = {n: t.type_name for n, t in open_gguf(made.path / "model.gguf").tensors.items()}
    assert types["output.weight"] == types["token_embd.weight"] == "Q8_0"
    assert types["blk.1.ffn_down.weight"] == "Q4_0"
    assert not json.loads((made.path / "variant.json").read_text())["on_reference_grid"]


def test_a_dithered_model_stays_marked_and_is_not_exported(
    tiny_model: Make, rotate: Rotate, tmp_path: Path
) -> None:
    given = {"model": file_input(tiny_model(stored="Q4_0"), "path:tiny.gguf")}
    dithered = execute(DITHER, ReferenceConfig(), given, store=tmp_path / "runs")
    rotated = rotate(dithered.path)
    assert open_gguf(rotated.path / "model.gguf").metadata["seemant.reference"] == "dithered"
    with pytest.raises(BadConfig, match="not to be used"):
        shipped = {"model": file_input(rotated.path, f"run:{rotated.path}")}
        execute(EXPORT, EXPORT.config(), shipped, store=tmp_path / "runs")


def test_gemma_folders_and_strange_tensors_are_refused_and_leave_no_model(
    tiny_model: Make, rotate: Rotate, tmp_path: Path
) -> None:
    with pytest.raises(BadConfig, match="norms after attention"):
        rotate(tiny_model("gemma.gguf", architecture="gemma3"))
    strange = {"blk.0.ffn_gate_exps.weight": np.zeros((4, 64), np.float32)}
    with pytest.raises(BadFile, match="ffn_gate_exps"):
        rotate(tiny_model("experts.gguf", extra=strange))
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadFile, match="folder"):
        rotate(tmp_path / "folder")
    assert not list((tmp_path / "runs").rglob("model.gguf*"))


@pytest.mark.real
def test_the_real_model_s_logits_stay(smol_gguf: Path, rotate: Rotate) -> None:
    done = rotate(smol_gguf)
    text = "The river rises in the hills. नदी पहाड़ों से निकलती है।"
    ids = tokenizer_of_metadata(open_gguf(smol_gguf).metadata).encode(text)
    wanted, got = logits(smol_gguf, ids), logits(done.path, ids)
    assert (got - wanted).abs().max() < 1e-4 * wanted.abs().max()
