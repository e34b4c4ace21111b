"""Adapters written here are read by PEFT and give the same numbers there."""

import json
from pathlib import Path

import pytest
import torch

from seemant.models.prompts import make_template
from seemant.train.adapt import adapt
from seemant.train.save import save_adapter, save_peft, save_student
from tests.train.tiny import tiny_gemma, tiny_llama

IDS = torch.arange(12).view(2, 6)


def trained(model, alpha: float = 12.0):
    adapters = adapt(model, rank=4, alpha=alpha, seed=0)
    with torch.no_grad():
        for module in adapters.values():
            module.lora_b.normal_(std=0.1)
    return adapters


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_peft_reads_the_folder_and_gives_equal_logits(make, tmp_path: Path) -> None:
    from peft import PeftModel

    ours = make(50)
    save_peft(tmp_path, trained(ours), alpha=12.0, label="embedded:tiny")
    theirs = PeftModel.from_pretrained(make(50), str(tmp_path))
    with torch.no_grad():
        want, got = ours(input_ids=IDS).logits, theirs(input_ids=IDS).logits
        base = make(50)(input_ids=IDS).logits
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert (want - base).abs().max() > 0.1


def test_the_wrong_sign_would_be_seen(tmp_path: Path) -> None:
    from peft import PeftModel

    ours = tiny_llama(50)
    adapters = trained(ours)
    with torch.no_grad():
        want = ours(input_ids=IDS).logits
        for module in adapters.values():
            module.lora_b.neg_()
    save_peft(tmp_path, adapters, alpha=12.0, label="embedded:tiny")
    theirs = PeftModel.from_pretrained(tiny_llama(50), str(tmp_path))
    with torch.no_grad():
        assert (theirs(input_ids=IDS).logits - want).abs().max() > 0.1


def test_no_head_or_embedding_is_in_the_adapter(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    save_peft(tmp_path, trained(tiny_llama(50)), alpha=12.0, label="embedded:tiny")
    names = load_file(tmp_path / "adapter_model.safetensors")
    assert len(names) == 2 * 14
    assert all(".layers." in name for name in names)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "embedded:tiny"
    assert config["lora_alpha"] == 12 and config["r"] == 4
    assert "lm_head" not in config["target_modules"] and len(config["target_modules"]) == 7


def test_a_folder_base_has_no_gguf_adapter(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    save_adapter(tmp_path, trained(tiny_llama(50)), alpha=8.0, label="path:base", base=base)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "adapter.gguf").exists()


def test_the_student_names_base_template_and_languages(tmp_path: Path) -> None:
    template = make_template("", "<eos>")
    save_student(
        tmp_path,
        subject="tiny+lora",
        label="embedded:tiny",
        base_sha256="ab",
        template=template,
        languages=("hi", "kn"),
    )
    student = json.loads((tmp_path / "student.json").read_text())
    assert student["base"] == "embedded:tiny" and student["base_sha256"] == "ab"
    assert student["template"] == "plain" and student["template_hash"] == template.hash
    assert student["languages"] == ["hi", "kn"]
