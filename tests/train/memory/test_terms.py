"""Counts from a configuration alone equal what the built model has."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seemant.core.jsonl import read_json
from seemant.models.decoder.shape import DecoderShape, shape_of_config
from seemant.models.frozen.size import n_bytes_of
from seemant.models.resolve import config_names
from seemant.train.memory import terms

SMOLLM2_135M: dict[str, Any] = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
CONFIGS = {name: read_json(path) for name, path in config_names().items()}
CONFIGS["SmolLM2-135M"] = SMOLLM2_135M


def shape(name: str) -> DecoderShape:
    return shape_of_config(CONFIGS[name])


def built(name: str) -> nn.Module:
    """The same model as transformers builds it, without memory for its weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**CONFIGS[name])
    with torch.device("meta"):
        model: nn.Module = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model


def block_linears(model: nn.Module) -> list[nn.Linear]:
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in name
    ]


def test_there_are_six_configurations() -> None:
    assert len(CONFIGS) >= 6


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_parameters_and_trainable_ones_are_those_of_the_built_model(name: str) -> None:
    model, own = built(name), shape(name)
    linears = block_linears(model)
    assert own.n_parameters() == sum(p.numel() for p in model.parameters())
    for rank in (1, 8, 32):
        lora = sum(rank * (each.in_features + each.out_features) for each in linears)
        assert terms.n_trainable(own, "lora", rank) == lora
        assert terms.n_trainable(own, "rslora", rank) == lora
        magnitudes = sum(each.out_features for each in linears)
        assert terms.n_trainable(own, "dora", rank) == lora + magnitudes
    assert terms.n_trainable(own, "full", 8) == own.n_parameters()


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_float_matrices_embedding_and_vectors_are_all_parameters(name: str) -> None:
    own = shape(name)
    for kind, c in terms.BYTES_OF.items():
        matrices = terms.linears(own, kind) + terms.embedding(own, kind)
        assert matrices // c + terms.vectors(own) // 4 == own.n_parameters()


def test_qwen_7b_at_rank_32_trains_the_reported_number() -> None:
    assert terms.n_trainable(shape("Qwen/Qwen2.5-7B-Instruct"), "lora", 32) == 80_740_352


def test_adapters_with_their_gradients_and_adamw_take_16_bytes_a_number() -> None:
    own = shape("google/gemma-3-1b-it")
    n = terms.n_trainable(own, "lora", 8)
    assert n == 6_522_880
    assert terms.trained(own, "lora", 8, "adamw", ema=False) == 16 * n
    assert terms.trained(own, "lora", 8, "adamw", ema=True) == 20 * n
    assert terms.trained(own, "lora", 8, "lion", ema=False) == 12 * n
    assert 10 * n < terms.trained(own, "lora", 8, "adamw8bit", ema=False) < 10.1 * n
    assert 8 * n < terms.trained(own, "full", 8, "adafactor", ema=False)


def test_adafactor_holds_a_row_and_a_column_of_each_matrix() -> None:
    own = shape("SmolLM2-135M")
    state = sum(4 * (rows + columns) for rows, columns in terms.trained_matrices(own, "lora", 8))
    n = terms.n_trainable(own, "lora", 8)
    assert terms.trained(own, "lora", 8, "adafactor", ema=False) == 8 * n + state


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 200))


@given(SIZES, st.sampled_from(["float32", "bfloat16", "int8", "int4"]))
def test_a_matrix_takes_what_the_built_one_holds(size: tuple[int, int], kind: str) -> None:
    from seemant.models.frozen.build import frozen

    matrix = frozen(kind, size, [torch.ones(size)])
    assert n_bytes_of(kind, size) == matrix.n_bytes


@pytest.mark.parametrize("size", [(64, 64), (128, 192), (512, 896), (33, 128)])
def test_nf4_takes_what_bitsandbytes_takes(size: tuple[int, int]) -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = torch.randn(size, generator=torch.Generator().manual_seed(0))
    codes, state = functional.quantize_4bit(
        weight, blocksize=64, compress_statistics=True, quant_type="nf4"
    )
    held = [codes, state.absmax, state.offset, state.state2.absmax, state.state2.code]
    # Its 16 levels are the same for every matrix: 64 bytes that need not be held for each.
    assert state.code.nbytes == 64
    assert n_bytes_of("nf4", size) == sum(each.nbytes for each in held)


def test_scratch_is_empty_where_no_weight_is_rebuilt() -> None:
    own = shape("google/gemma-3-1b-it")
    assert terms.scratch(own, "bfloat16", "bfloat16", "bfloat16", 8192) == 0
    largest = 2 * own.d * max(own.ff, 8192)
    assert terms.scratch(own, "int8", "int8", "bfloat16", 8192) == largest
    assert terms.scratch(own, "int8", "bfloat16", "bfloat16", 8192) == 2 * own.d * own.ff


def test_counting_imports_no_torch() -> None:
    code = (
        "import json, sys\n"
        "from seemant.models.decoder.shape import shape_of_config\n"
        "from seemant.train.memory import attempt, plan_text, search, supervise\n"
        "from seemant.train.config import TrainConfig\n"
        f"shape = shape_of_config(json.loads({json.dumps(SMOLLM2_135M)!r}))\n"
        "print(search.plan_for(shape, TrainConfig(), 256).peak_bytes)\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'scipy', 'polars'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
