"""Loading: GGUF files, HF folders and seeds, in blocks of rows and in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from seemant.core.errors import BadConfig, BadFile
from seemant.models.decoder import weights as weights_module
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import load_decoder, random_decoder
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import INIT_STD, random_weights
from seemant.models.expand import expand
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.resolve import config_names
from tests.models.decoder.variants import hf_state, logits, ours
from tests.models.tiny import FAMILIES, tiny_ids, tiny_model, write_tiny_gguf


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_file_gives_the_model_it_was_written_from(
    family: str, tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module, "BLOCK_BYTES", 2000)  # several blocks a tensor
    model = tiny_model(family, tied=tied)
    loaded = load_decoder(write_tiny_gguf(tmp_path / "m.gguf", model, family))
    assert _error(loaded.decoder, model) <= 1e-5
    assert loaded.tied == tied and loaded.n_vocab == 320 and loaded.sha256
    assert loaded.tokenizer is not None and loaded.tokenizer.n_tokens == 320
    shared = loaded.decoder.head is loaded.decoder.model.embed_tokens
    assert shared == tied and isinstance(loaded.decoder.head, FrozenMatrix)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shard", ["100KB", "10GB"])
def test_an_hf_folder_gives_the_model_that_was_saved(
    dtype: torch.dtype, shard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module, "BLOCK_BYTES", 2000)
    model = tiny_model("qwen2")
    model.to(dtype).save_pretrained(tmp_path / "hf", max_shard_size=shard)
    loaded = load_decoder(tmp_path / "hf", words=False)
    assert _error(loaded.decoder, model.float()) <= 1e-5
    assert (loaded.sha256, loaded.tokenizer, loaded.template) == (None, None, None)


@pytest.mark.usefixtures("own_cache")
def test_a_folder_of_its_own_config_style_and_tokenizer_loads_whole(tmp_path: Path) -> None:
    model = tiny_model("llama")
    model.save_pretrained(tmp_path / "hf")
    folder = expand(write_tiny_gguf(tmp_path / "t.gguf", model, "llama"))
    (tmp_path / "hf" / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    loaded = load_decoder(tmp_path / "hf")
    assert loaded.tokenizer is not None and loaded.template is not None
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "hf" / "tokenizer.json"))
    assert loaded.tokenizer.encode("the") == theirs("the")["input_ids"]
    assert loaded.tokenizer.encode("the", add_bos=False)[-1] == loaded.tokenizer.id_of("the")


def test_rotation_factors_of_a_gguf_file_slow_the_rotation(tmp_path: Path) -> None:
    import numpy as np

    from seemant.formats.gguf_read import open_gguf
    from seemant.formats.gguf_write import TensorData, write_gguf

    model = tiny_model("llama")
    file = open_gguf(write_tiny_gguf(tmp_path / "m.gguf", model, "llama"))
    factors = np.array([1, 1, 2, 2, 4, 8, 8, 8], np.float32)
    tensors = {n: TensorData("F32", t.shape, t.raw()) for n, t in file.tensors.items()}
    tensors["rope_freqs.weight"] = TensorData("F32", (8,), factors)
    write_gguf(tmp_path / "long.gguf", file.fields, tensors)
    with torch.no_grad():
        model.model.rotary_emb.inv_freq /= torch.from_numpy(factors)
    assert _error(load_decoder(tmp_path / "long.gguf").decoder, model) <= 1e-5


@pytest.mark.parametrize("kind", ["int8", "int4", "bfloat16"])
def test_codes_do_not_depend_on_the_size_of_the_blocks(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    whole = load_decoder(path, base=kind, embedding="int8").decoder
    monkeypatch.setattr(weights_module, "BLOCK_BYTES", 2000)
    pieces = load_decoder(path, base=kind, embedding="int8").decoder
    for name, linear in whole.linears().items():
        other = pieces.linears()[name]
        assert isinstance(linear, FrozenLinear) and isinstance(other, FrozenLinear)
        assert linear.matrix.kind == kind and whole.head.kind == "int8"
        same = [each.dequantised(torch.float32).clone() for each in (linear.matrix, other.matrix)]
        assert torch.equal(*same)
    assert torch.equal(*(each.embed(tiny_ids()[0]) for each in (whole, pieces)))


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_quantised_decoder_is_a_float_decoder_of_its_dequantised_weights(kind: str) -> None:
    """What is left of the difference to the original is the quantiser's, not the decoder's."""
    model = tiny_model("gemma3")
    packed = ours(model, base=kind, embedding="int8")
    state = hf_state(model)
    for name, linear in packed.linears().items():
        assert isinstance(linear, FrozenLinear)
        state[f"{name}.weight"].copy_(linear.matrix.dequantised(torch.float32))
    head = packed.head_weight
    assert isinstance(head, FrozenMatrix)
    state["model.embed_tokens.weight"].copy_(head.dequantised(torch.float32))
    assert _error(packed, model) <= 1e-5


def test_a_frozen_decoder_has_nothing_to_train_and_one_scratch() -> None:
    decoder = ours(tiny_model("gemma3"), base="int8")
    assert not list(decoder.parameters()) and not decoder.state_dict() and not decoder.training
    scratches = {id(each.scratch) for each in decoder.linears().values()}
    assert scratches == {id(decoder.scratch)}


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    tiny_model("qwen2").save_pretrained(folder)
    state = {name: each.clone() for name, each in load_file(folder / "model.safetensors").items()}
    up = "model.layers.1.mlp.up_proj.weight"
    for changed, message in (
        ({n: t for n, t in state.items() if n != up}, f"missing: {up}"),
        (state | {"model.extra.weight": torch.zeros(2)}, r"unknown: model\.extra\.weight"),
        (state | {up: torch.zeros(3, 64)}, f"of another shape: {up}"),
        (state | {up: state[up].double()}, "stored as F64"),
    ):
        save_file(changed, folder / "model.safetensors")
        with pytest.raises(BadFile, match=message):
            load_decoder(folder, words=False)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(BadConfig, match="int3"):
        load_decoder(folder, base="int3", words=False)


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    tiny_model("llama").save_pretrained(folder)
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for damaged in (
        content[:-1],
        content[: len(content) // 2],
        content[:4],
        b"\xff" * 8 + content[8:],
        content[:8] + b"x" + content[9:],
        content.replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1),
    ):
        path.write_bytes(damaged)
        with pytest.raises(BadFile, match="cannot be read"):
            load_decoder(folder, words=False)


def test_a_truncated_gguf_file_is_refused(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadFile):
        load_decoder(path)


def test_random_weights_depend_on_seed_and_name_and_start_as_transformers_starts(
    tmp_path: Path,
) -> None:
    config = tiny_model("gemma3").config.to_dict()
    (tmp_path / "config.json").write_text(json.dumps(config))
    path = tmp_path / "config.json"
    one, same, other = (random_decoder(path, seed=seed).decoder for seed in (1, 1, 2))
    ids = tiny_ids()[0]
    assert torch.equal(one(ids, [24]), same(ids, [24]))
    assert not torch.equal(one(ids, [24]), other(ids, [24]))
    weights = random_weights(shape_of_config(config), 1)
    up, gate = (weights.whole(f"model.layers.0.mlp.{each}_proj.weight") for each in ("up", "gate"))
    assert not torch.equal(up, gate)
    assert abs(float(up.std()) / INIT_STD - 1) < 0.05 and abs(float(up.mean())) < 0.001
    assert not weights.whole("model.norm.weight").any()  # Gemma's norms multiply by 1 + w
    llama = random_weights(shape_of_config(tiny_model("qwen2").config.to_dict()), 1)
    assert torch.equal(llama.whole("model.norm.weight"), torch.ones(64))
    assert not llama.whole("model.layers.0.self_attn.q_proj.bias").any()


def test_random_weights_of_a_block_size_are_those_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = shape_of_config(tiny_model("llama").config.to_dict())
    name = "model.layers.0.mlp.up_proj.weight"
    whole = random_weights(shape, 5).whole(name)
    monkeypatch.setattr(weights_module, "BLOCK_BYTES", 64 * 4 * 4)
    assert torch.equal(random_weights(shape, 5).whole(name), whole)


@pytest.mark.parametrize("name", config_names())
def test_every_shipped_configuration_has_a_shape(name: str) -> None:
    config = json.loads(config_names()[name].read_text())
    shape = shape_of_config(config)
    millions = {"0.5B": 494, "1.5B": 1544, "3B": 3086, "7B": 7616, "gemma-3-1b": 1000}
    wanted = next(each for part, each in millions.items() if part in name)
    assert round(shape.n_parameters() / 1e6) == wanted


def test_loading_imports_neither_transformers_nor_other_heavy_libraries(tmp_path: Path) -> None:
    model = tiny_model("llama")
    gguf = write_tiny_gguf(tmp_path / "m.gguf", model, "llama")
    model.save_pretrained(tmp_path / "hf")
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_dict()))
    _child(
        "from seemant.models.decoder.load import load_decoder, random_decoder\n"
        "from seemant.models.decoder.trainable import load_state, trainable_decoder\n"
        f"load_decoder(Path({str(gguf)!r}), base='int8')\n"
        f"load_decoder(Path({str(tmp_path / 'hf')!r}), words=False)\n"
        f"random_decoder(Path({str(tmp_path / 'config.json')!r}))\n"
        f"trainable_decoder(load_state(Path({str(gguf)!r}))[0], seed=0)\n"
        "heavy = {'transformers', 'peft', 'scipy', 'polars', 'plotly', 'accelerate'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )


def test_counting_memory_imports_no_torch() -> None:
    _child(
        "import seemant.models.decoder.saved, seemant.models.decoder.shape\n"
        "import seemant.models.decoder.kernel_cache\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )


@pytest.mark.real
@pytest.mark.parametrize("words", [False, True])
def test_loading_gemma_peaks_at_its_codes_and_one_block(words: bool, gemma_gguf: Path) -> None:
    """Peak resident memory of a process, over what it has after its imports and one product."""
    report = _child(
        "import json, torch\n"
        "from seemant.models.decoder.load import load_decoder\n"
        "torch.set_num_threads(1)\n"
        "torch.randn(64, 640) @ torch.randn(640, 64)\n"
        "def status(key):\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith(key))\n"
        "before = status('VmRSS')\n"
        f"loaded = load_decoder(Path({str(gemma_gguf)!r}), base='int8', embedding='int8', "
        f"words={words})\n"
        "codes = sum(each.nbytes for each in loaded.decoder.buffers())\n"
        "print(json.dumps([before, status('VmHWM'), status('VmRSS'), codes]))\n"
    )
    before, peak, after, codes = json.loads(report)
    assert 268e6 < codes < 272e6
    assert after - before >= 0.95 * codes
    # Without words: the file's vocabulary for a moment, then blocks of 1 MB and what the heap keeps
    # of their temporaries. With words: the tokenizer as well, built before the codes.
    assert peak - before <= codes + (200e6 if words else 55e6)


def _child(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\n" + code],
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def _error(decoder: Decoder, model: object) -> float:
    ids = tiny_ids()
    with torch.no_grad():
        wanted = model(ids).logits[0]  # type: ignore[operator]
        got = logits(decoder, ids[0], [ids.shape[1]])
    return float((got - wanted).norm() / wanted.norm())
