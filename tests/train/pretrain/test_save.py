"""The saved model, opened by everything that opens models."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seemant.models.backends.open import open_backend
from seemant.models.load import build, load_torch
from seemant.models.resolve import resolve
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.save import save_pretrained
from seemant.train.pretrain.shape import hf_config
from seemant.train.pretrain.vocabulary import bpe_metadata, tokenizer_of
from seemant.train.save import MODEL_FOLDER
from tests.train.pretrain.test_vocabulary import shipped_texts


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_one_model_in_two_forms_and_three_engines(
    family: str, tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    given = {"size": "0.5M", "family": family, "tied": tied}
    config = PretrainConfig.model_validate(given)
    tokenizer = tokenizer_of(bpe_metadata(shipped_texts(), 600))
    said = hf_config(config, tokenizer)
    torch.manual_seed(0)
    shapes = {name: each.shape for name, each in build(said).named_parameters()}
    state = {name: torch.randn(shape) * 0.08 + (len(shape) == 1) for name, shape in shapes.items()}
    out = tmp_path / "artefact"
    out.mkdir()
    save_pretrained(out, state, said, tokenizer, name="tiny", languages=("hi", "kn"), licence=None)
    found = resolve(f"run:{out}")
    assert (found.kind, found.languages) == ("gguf", ("hi", "kn"))
    from_folder, from_file = load_torch(out / MODEL_FOLDER), load_torch(found.path)
    for name, values in from_folder.model.named_parameters():
        assert torch.equal(values, dict(from_file.model.named_parameters())[name]), name
        assert torch.equal(values, state[name]), name
    text = "कमल खिला है। ಮಳೆ ಬಂತು, the rain 2024"
    with open_backend(found.path, strict=True, context=128) as backend:
        ids = backend.encode(text)
        rows = np.concatenate(list(backend.logprobs(ids, 1)))
    assert ids == tokenizer.encode(text) == from_folder.tokenizer.encode(text)
    with torch.no_grad():
        logits = from_folder.model(torch.tensor([ids])).logits[0, :-1]
    ours = torch.log_softmax(logits, -1).numpy()
    # llama.cpp keeps keys and values in half precision: nats agree to a few thousandths.
    np.testing.assert_allclose(rows, ours, atol=2e-2)
    assert (np.exp(ours) * (ours - rows)).sum(1).max() < 1e-5  # KL in nats
    assert (rows.argmax(1) == logits.argmax(1).numpy()).mean() > 0.9
