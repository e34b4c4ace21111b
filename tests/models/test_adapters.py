"""Adapters: PEFT's own model is the judge, and a wrong sign must be caught."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seemant.core.errors import BadConfig, BadFile
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.adapters import check_base, merged, read_adapter, write_gguf_lora
from seemant.models.load import load_torch
from seemant.models.weights_identity import weights_sha256
from tests.models.tiny import FAMILIES, logits, tiny_ids, tiny_model, write_tiny_gguf

pytestmark = pytest.mark.usefixtures("own_cache")
BLOCK = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_adapter_gives_pefts_logits_and_a_wrong_sign_does_not(
    family: str, rslora: bool, tmp_path: Path
) -> None:
    model = tiny_model(family)
    path = write_tiny_gguf(tmp_path / "m.gguf", model, family)
    before = logits(model, tiny_ids())
    wanted = logits(_tuned(model, tmp_path / "adapter", use_rslora=rslora), tiny_ids())
    got = logits(load_torch(path, adapter=tmp_path / "adapter").model, tiny_ids())
    assert (got - wanted).abs().max() <= 1e-5
    assert (wanted - before).abs().max() > 1e-2
    _flip_b(tmp_path / "adapter")
    wrong = logits(load_torch(path, adapter=tmp_path / "adapter").model, tiny_ids())
    assert (wrong - wanted).abs().max() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_merging_in_ggufs_layout_and_in_transformers_is_the_same(
    family: str, tmp_path: Path
) -> None:
    model = tiny_model(family)
    path = write_tiny_gguf(tmp_path / "m.gguf", model, family)
    _tuned(model, tmp_path / "adapter")  # as in a train artefact, which is what is named below
    changed = merged(open_gguf(path), tmp_path)
    assert len(changed) == 7 * len(FUSED if family == "phi3" else BLOCK)
    one = logits(load_torch(path, replace=changed).model, tiny_ids())
    other = logits(load_torch(path, adapter=tmp_path).model, tiny_ids())
    assert torch.equal(one, other)


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gguf_file_holds_the_same_change_by_llama_cpps_rule(
    family: str, rslora: bool, tmp_path: Path
) -> None:
    """llama.cpp adds (alpha / r) B A with r = rows of A, in its own row order."""
    model = tiny_model(family)
    base = open_gguf(write_tiny_gguf(tmp_path / "m.gguf", model, family))
    _tuned(model, tmp_path / "adapter", use_rslora=rslora)
    write_gguf_lora(tmp_path / "adapter", tmp_path / "a.gguf", base)
    file = open_gguf(tmp_path / "a.gguf")
    assert file.metadata["general.type"] == "adapter" and file.metadata["adapter.type"] == "lora"
    assert file.metadata["general.architecture"] == family
    alpha = file.metadata["adapter.lora.alpha"]
    assert alpha == pytest.approx(8 * (2 if rslora else 1))  # alpha 8, rank 4: 8 sqrt(4) = 16
    for name, values in merged(base, tmp_path / "adapter").items():
        a, b = (file.dequantize(f"{name}.lora_{letter}") for letter in "ab")
        assert a.shape[0] == 4
        np.testing.assert_allclose(base.dequantize(name) + alpha / 4 * (b @ a), values, atol=1e-6)


def test_modules_with_an_alpha_of_their_own_share_the_files_one_alpha(tmp_path: Path) -> None:
    model = tiny_model("llama")
    base = open_gguf(write_tiny_gguf(tmp_path / "m.gguf", model, "llama"))
    own = {"alpha_pattern": {"q_proj": 2}, "rank_pattern": {"v_proj": 2}}
    wanted = logits(_tuned(model, tmp_path / "adapter", **own), tiny_ids())
    got = load_torch(tmp_path / "m.gguf", adapter=tmp_path / "adapter").model
    assert (logits(got, tiny_ids()) - wanted).abs().max() <= 1e-5
    write_gguf_lora(tmp_path / "adapter", tmp_path / "a.gguf", base)
    file = open_gguf(tmp_path / "a.gguf")
    for name, values in merged(base, tmp_path / "adapter").items():
        a, b = (file.dequantize(f"{name}.lora_{letter}") for letter in "ab")
        change = file.metadata["adapter.lora.alpha"] / a.shape[0] * (b @ a)
        np.testing.assert_allclose(base.dequantize(name) + change, values, atol=1e-6)


def test_llama_cpp_runs_the_gguf_adapter_as_torch_runs_the_merged_weights(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    from seemant.models.backends.open import open_backend

    for family in ("llama", "gemma3"):
        model = tiny_model(family)
        path = write_tiny_gguf(tmp_path / f"{family}.gguf", model, family)
        _tuned(model, tmp_path / family / "adapter")
        adapter = tmp_path / family / "adapter.gguf"
        write_gguf_lora(tmp_path / family, adapter, open_gguf(path))
        ids = tiny_ids()
        tuned = load_torch(path, adapter=tmp_path / family).model
        wanted = torch.log_softmax(logits(tuned, ids)[0, :-1], -1).numpy()
        plain = torch.log_softmax(logits(load_torch(path).model, ids)[0, :-1], -1).numpy()
        with open_backend(path, adapter=adapter) as backend:
            assert backend.name == "llamacpp"
            got = np.concatenate(list(backend.logprobs(ids[0].tolist(), 1)))
        assert abs(got - wanted).max() < 0.05  # llama.cpp's exp and rotation are approximate
        assert abs(got - wanted).max() < abs(plain - wanted).max() / 5


def test_head_and_embedding_adapters_are_refused_on_tied_models_only(tmp_path: Path) -> None:
    model = tiny_model("llama", tied=False)
    path = write_tiny_gguf(tmp_path / "untied.gguf", model, "llama")
    wanted = logits(_tuned(model, tmp_path / "a", target_modules=["lm_head"]), tiny_ids())
    got = logits(load_torch(path, adapter=tmp_path / "a").model, tiny_ids())
    assert (got - wanted).abs().max() <= 1e-5
    tied = write_tiny_gguf(tmp_path / "tied.gguf", tiny_model("llama"), "llama")
    with pytest.raises(BadFile, match=r"lm_head\.weight"):
        load_torch(tied, adapter=tmp_path / "a")
    with pytest.raises(BadFile, match=r"lm_head\.weight"):
        write_gguf_lora(tmp_path / "a", tmp_path / "a.gguf", open_gguf(tied))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "whole trained modules"),
        ({"peft_type": "IA3"}, "other than LoRA"),
        ({"fan_in_fan_out": True}, "transposed"),
    ],
)
def test_what_cannot_be_merged_exactly_is_refused(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    _tuned(tiny_model("llama"), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadFile, match=said):
        read_adapter(tmp_path)


def test_an_adapter_of_another_base_and_a_folder_without_one_are_refused(tmp_path: Path) -> None:
    _tuned(tiny_model("llama"), tmp_path / "adapter")
    other = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("qwen3"), "qwen3")
    base = open_gguf(other)
    assert merged(base, tmp_path)  # qwen3 of the same widths: fits by name and shape
    from seemant.formats.gguf_write import TensorData, write_gguf

    tensors = {n: TensorData("F32", t.shape, t.raw()) for n, t in base.tensors.items()}
    tensors["blk.0.ffn_up.weight"] = TensorData("F32", (96, 32), np.zeros((96, 32), np.float32))
    write_gguf(tmp_path / "odd.gguf", base.fields, tensors)
    with pytest.raises(BadFile, match="up_proj"):
        merged(open_gguf(tmp_path / "odd.gguf"), tmp_path)
    with pytest.raises(BadFile, match=r"no adapter_config\.json"):
        read_adapter(tmp_path / "adapter" / "nowhere")


def _tuned(model: Any, folder: Path, **more: Any) -> Any:
    """The model under a random LoRA of PEFT, saved into `folder`."""
    from peft import LoraConfig, get_peft_model

    settings = {"r": 4, "lora_alpha": 8, "target_modules": BLOCK + FUSED, "task_type": "CAUSAL_LM"}
    tuned = get_peft_model(model, LoraConfig(**(settings | more)))
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    tuned.save_pretrained(folder, save_embedding_layers=False)
    return tuned.eval()


def _flip_b(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    tensors = {n: (-t if "lora_B" in n else t.clone()) for n, t in load_file(path).items()}
    save_file(tensors, path)


def _facts(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, facts in files.items():
        (folder / f"{name}.json").write_text(json.dumps(facts))
    return folder


def test_an_adapter_fits_the_base_that_it_was_trained_on_and_its_variants(tmp_path: Path) -> None:
    trained = _facts(tmp_path / "t", student={"base": "embedded:x", "base_sha256": "aa"})
    (trained / "adapter").mkdir()
    (trained / "adapter.gguf").write_bytes(b"")
    plain = _facts(tmp_path / "v", variant={"base": {"sha256": "aa"}, "adapter": None})
    (plain / "model.gguf").write_bytes(b"")
    for adapter in (trained, trained / "adapter", trained / "adapter.gguf"):
        check_base(adapter, tmp_path / "base.gguf", "aa")
        check_base(adapter, plain, "bb")
        check_base(adapter, plain / "model.gguf", "bb")
        with pytest.raises(BadFile, match="trained on embedded:x"):
            check_base(adapter, tmp_path / "base.gguf", "bb")


def test_an_adapter_fits_the_same_weights_in_another_file(tmp_path: Path) -> None:
    def file(name: str, value: float, title: str) -> Path:
        weight = np.full((4, 32), value, np.float32)
        tensors = {"blk.0.attn_q.weight": TensorData("F32", weight.shape, weight)}
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_gguf(path, {"general.architecture": "llama", "general.name": title}, tensors)
        return path

    base = file("a/model.gguf", 1.0, "made of a folder")
    student = {"base": "path:a", "base_sha256": "aa", "base_weights_sha256": weights_sha256(base)}
    trained = _facts(tmp_path / "t", student=student)
    again = file("b/model.gguf", 1.0, "made again, with a licence")
    check_base(trained, again, "bb")
    check_base(trained, again.parent, "bb")
    with pytest.raises(BadFile, match="trained on path:a"):
        check_base(trained, file("c/model.gguf", 2.0, "other weights"), "bb")


def test_a_variant_that_holds_an_adapter_takes_no_second_one(tmp_path: Path) -> None:
    trained = _facts(tmp_path / "t", student={"base": "embedded:x", "base_sha256": "aa"})
    merged = _facts(tmp_path / "v", variant={"base": {"sha256": "aa"}, "adapter": {"label": "t"}})
    with pytest.raises(BadConfig, match="already merged"):
        check_base(trained, merged, "bb")


def test_an_adapter_of_unknown_origin_passes(tmp_path: Path) -> None:
    check_base(_facts(tmp_path / "foreign"), tmp_path / "base.gguf", "aa")


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_an_adapter_on_changed_base_weights_is_refused_by_its_settings_name(
    start: str, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(
        tiny_model("llama"), LoraConfig(r=4, target_modules=BLOCK, init_lora_weights=start)
    )
    tuned.save_pretrained(str(tmp_path))
    with pytest.raises(BadFile, match="init_lora_weights"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("start", [True, "gaussian", "orthogonal"])
def test_starts_that_leave_the_base_alone_are_merged_as_peft_merges_them(
    start: bool | str, tmp_path: Path
) -> None:
    model = tiny_model("llama")
    path = write_tiny_gguf(tmp_path / "m.gguf", model, "llama")
    tuned = _tuned(model, tmp_path / "adapter", init_lora_weights=start)
    wanted = logits(tuned, tiny_ids())
    got = logits(load_torch(path, adapter=tmp_path / "adapter").model, tiny_ids())
    assert (got - wanted).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"lora_bias": True}, "lora_bias"),
        ({"use_qalora": True}, "use_qalora"),
        ({"init_lora_weights": "something_new"}, "something_new"),
        ({"a_setting_of_tomorrow": {"x": 1}}, "a_setting_of_tomorrow"),
        ({"r": 16}, "rank"),
    ],
)
def test_settings_that_change_the_meaning_are_refused_by_name(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    _tuned(tiny_model("llama"), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadFile, match=said):
        read_adapter(tmp_path)


def test_every_setting_of_todays_peft_is_read_refused_or_known_to_be_of_training(
    tmp_path: Path,
) -> None:
    import dataclasses

    from peft import LoraConfig

    from seemant.models import adapter_settings as known

    fields = {field.name for field in dataclasses.fields(LoraConfig)}
    listed = known._READ | known._OF_TRAINING | set(known._REFUSED) | {"bias"}
    # What nobody looked at yet is refused as soon as it is set.
    assert fields - listed <= {
        "arrow_config",
        "ensure_weight_tying",
        "kasa_config",
        "megatron_config",
        "monteclora_config",
        "use_bdlora",
        "velora_config",
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [(torch.empty(0), "empty"), (torch.full((64, 4), float("nan")), "NaN")],
)
def test_tensors_without_values_are_one_sentence(
    values: torch.Tensor, said: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    _tuned(tiny_model("llama"), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors[next(name for name in tensors if "lora_B" in name)] = values
    save_file(tensors, path)
    with pytest.raises(BadFile, match=said):
        read_adapter(tmp_path)


@pytest.mark.parametrize("inside", ["model.language_model.", "language_model.model."])
def test_an_adapter_trained_inside_a_multimodal_model_changes_the_text_model(
    inside: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    _tuned(tiny_model("gemma3"), tmp_path / "adapter")
    plain = read_adapter(tmp_path)
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    state = {
        name.replace(".model.model.", f".model.{inside}"): each
        for name, each in load_file(path).items()
    }
    assert all(inside in name for name in state)
    save_file(state, path)
    found = read_adapter(tmp_path)
    assert found.keys() == plain.keys()
    for name, pair in plain.items():
        np.testing.assert_array_equal(found[name].delta(), pair.delta())
