"""Adapters written here are read by PEFT and give the same numbers there; so are whole models."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seemant.core.errors import InputError
from seemant.formats.gguf_read import open_gguf
from seemant.models.load import load_torch
from seemant.models.prompts import make_template, template_of
from seemant.train.adapt import LoraLinear, adapt, trainable
from seemant.train.opened import hf_config_of
from seemant.train.save import How, save_adapter, save_gguf, save_model, save_peft, save_student
from tests.train.tiny import (
    CHATML,
    byte_level,
    decoder_of,
    shaken,
    tiny_gemma,
    tiny_llama,
    whole_decoder_of,
)

IDS, LENGTHS = torch.arange(12), [7, 5]


def trained(decoder: Any, method: str = "lora", alpha: float = 12.0) -> dict[str, LoraLinear]:
    adapters = adapt(decoder, method, rank=4, alpha=alpha, seed=0)
    shaken(trainable(adapters), size=0.1)
    return adapters


def hidden_of(model: Any) -> torch.Tensor:
    """The last hidden states of a transformers model, each row alone."""
    wrapped = type(model).__name__.startswith("Peft")
    body = model.base_model.model.model if wrapped else model.model
    with torch.no_grad():
        rows = [body(input_ids=each[None]).last_hidden_state[0] for each in IDS.split(LENGTHS)]
    return torch.cat(rows)


@pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_peft_reads_the_folder_and_gives_equal_states(
    make: Any, method: str, tmp_path: Path
) -> None:
    from peft import PeftModel

    ours = decoder_of(make(50))
    adapters = trained(ours, method)
    save_peft(tmp_path, adapters, how=How(method=method, alpha=12.0), label="embedded:tiny")
    theirs = PeftModel.from_pretrained(make(50), str(tmp_path))
    with torch.no_grad():
        got = ours(IDS, LENGTHS)
    want, base = hidden_of(theirs), hidden_of(make(50))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert (want - base).abs().max() > 0.1


@pytest.mark.parametrize("method", ["lora", "rslora"])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_share_of_the_change_travels_as_a_smaller_alpha(
    method: str, share: float, tmp_path: Path
) -> None:
    from peft import PeftModel

    ours = decoder_of(tiny_llama(50))
    adapters = trained(ours, method)
    for module in adapters.values():
        module.scale *= share  # as `fit` leaves them
    how = How(method=method, alpha=12.0, average=share)
    save_peft(tmp_path, adapters, how=how, label="embedded:tiny")
    theirs = PeftModel.from_pretrained(tiny_llama(50), str(tmp_path))
    with torch.no_grad():
        torch.testing.assert_close(ours(IDS, LENGTHS), hidden_of(theirs), rtol=0, atol=1e-5)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["lora_alpha"] == pytest.approx(12.0 * (share or 1.0))  # never 0


def test_the_wrong_sign_would_be_seen(tmp_path: Path) -> None:
    from peft import PeftModel

    ours = decoder_of(tiny_llama(50))
    adapters = trained(ours)
    with torch.no_grad():
        want = ours(IDS, LENGTHS)
        for module in adapters.values():
            module.lora_b.neg_()
    save_peft(tmp_path, adapters, how=How(alpha=12.0), label="embedded:tiny")
    theirs = PeftModel.from_pretrained(tiny_llama(50), str(tmp_path))
    assert (hidden_of(theirs) - want).abs().max() > 0.1


def test_no_head_or_embedding_is_in_the_adapter(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    save_peft(
        tmp_path, trained(decoder_of(tiny_llama(50))), how=How(alpha=12.0), label="embedded:tiny"
    )
    names = load_file(tmp_path / "adapter_model.safetensors")
    assert len(names) == 2 * 14
    assert all(".layers." in name for name in names)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "embedded:tiny"
    assert config["lora_alpha"] == 12 and config["r"] == 4
    assert "lm_head" not in config["target_modules"] and len(config["target_modules"]) == 7
    for tied, layer in ((True, "lm_head"), (True, "model.embed_tokens")):
        with pytest.raises(InputError, match=f"an adapter on {layer}"):
            save_adapter(
                tmp_path,
                {layer: next(iter(trained(decoder_of(tiny_llama(50))).values()))},
                how=How(alpha=8.0),
                label="x",
                base=tmp_path,
                tied=tied,
            )


def test_a_folder_base_has_no_gguf_adapter(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    notes = save_adapter(
        tmp_path,
        trained(decoder_of(tiny_llama(50))),
        how=How(alpha=8.0),
        label="path:base",
        base=base,
        tied=True,
    )
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "adapter.gguf").exists() and notes == []


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from seemant.models.backends.tiny import write_tiny

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny(path)
    return path


@pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
def test_the_gguf_adapter_holds_the_scale_that_llama_cpp_applies(
    gguf: Path, method: str, tmp_path: Path
) -> None:
    from seemant.models.decoder.load import load_decoder

    decoder = load_decoder(gguf, words=False).decoder
    adapters = trained(decoder, method, alpha=6.0)
    how = How(method=method, alpha=6.0)
    notes = save_adapter(tmp_path, adapters, how=how, label="x", base=gguf, tied=True)
    path = tmp_path / "adapter.gguf"
    if method == "dora":
        assert not path.exists()
        assert "no place for DoRA's lengths" in notes[0]
        return
    # llama.cpp multiplies by alpha / r: alpha itself, or alpha sqrt(r) for rsLoRA.
    alpha = open_gguf(path).metadata["adapter.lora.alpha"]
    assert alpha == pytest.approx(6.0 * (math.sqrt(4) if method == "rslora" else 1.0))
    assert alpha / 4 == pytest.approx(next(iter(adapters.values())).scale)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_a_whole_model_is_read_by_load_torch_with_equal_states(make: Any, tmp_path: Path) -> None:
    tokenizer = byte_level()
    model = make(tokenizer.n_tokens)
    decoder = whole_decoder_of(model)
    weights = dict(decoder.named_parameters())
    shaken(weights)
    config = model.config.to_dict()
    template = make_template(CHATML, "<|im_end|>")
    save_model(tmp_path / "m", weights, config, tokenizer, template, {0})
    loaded = load_torch(tmp_path / "m")
    with torch.no_grad():
        torch.testing.assert_close(
            decoder(IDS, LENGTHS), hidden_of(loaded.model), rtol=0, atol=1e-5
        )
    said = json.loads((tmp_path / "m" / "generation_config.json").read_text())
    end = tokenizer.encode("<|im_end|>", add_bos=False)
    assert said["eos_token_id"] == sorted({0, *end})
    assert loaded.template.source == template.source
    assert loaded.tokenizer.encode("the") == tokenizer.encode("the")


def test_a_whole_model_of_a_gguf_base_is_a_gguf_file_again(gguf: Path, tmp_path: Path) -> None:
    from seemant.models.decoder.load import load_decoder
    from seemant.models.decoder.trainable import load_state, trainable_decoder

    shape, state = load_state(gguf)
    decoder = trainable_decoder(shape, seed=0, state=state)
    weights = shaken(dict(decoder.named_parameters()))
    base = open_gguf(gguf)
    save_gguf(tmp_path / "model.gguf", weights, base, template_of(gguf))
    again = open_gguf(tmp_path / "model.gguf")
    assert {t.type_name for t in again.tensors.values()} == {"F32"}
    skipped = {"general.file_type"}
    assert {k: v for k, v in again.metadata.items() if k not in skipped} == {
        k: v for k, v in base.metadata.items() if k not in skipped
    }
    loaded = load_decoder(tmp_path / "model.gguf", words=False).decoder
    ids = torch.arange(12) % shape.vocab
    with torch.no_grad():
        want, got = decoder(ids, LENGTHS), loaded(ids, LENGTHS)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    assert hf_config_of(gguf)["vocab_size"] == shape.vocab


def test_the_student_names_base_template_languages_and_how_it_was_made(tmp_path: Path) -> None:
    template = make_template("", "<eos>")
    save_student(
        tmp_path,
        subject="tiny+lora",
        label="embedded:tiny",
        base_sha256="ab",
        template=template,
        languages=("hi", "kn"),
        more={"method": "lora", "notes": ["one"]},
    )
    student = json.loads((tmp_path / "student.json").read_text())
    assert student["base"] == "embedded:tiny" and student["base_sha256"] == "ab"
    assert student["template"] == "plain" and student["template_hash"] == template.hash
    assert student["languages"] == ["hi", "kn"]
    assert student["method"] == "lora" and student["notes"] == ["one"]
