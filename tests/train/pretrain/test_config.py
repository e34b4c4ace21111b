"""Sizes, budgets and what does not fit together."""

import pytest
from pydantic import ValidationError

from seemant.models.hf_config import family_of_config
from seemant.models.names import Family
from seemant.train.pretrain.config import SIZES, PretrainConfig
from seemant.train.pretrain.recipe import train_config
from seemant.train.pretrain.shape import hf_config
from seemant.train.pretrain.vocabulary import byte_metadata, tokenizer_of


def count(config: PretrainConfig) -> int:
    """Parameters from the shapes, by hand."""
    n_vocab = 258 if config.vocabulary == "byte" else config.vocab_size
    q, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
    block = 2 * config.d * q + 2 * config.d * kv + 3 * config.d * config.ff + 2 * config.d
    return n_vocab * config.d + config.layers * block + config.d


@pytest.mark.parametrize("size", SIZES)
def test_a_size_is_about_what_its_name_says(size: str) -> None:
    config = PretrainConfig.model_validate({"size": size})
    assert count(config) == pytest.approx(float(size[:-1]) * 1e6, rel=0.12)


def test_from_width_256_on_rows_are_whole_k_quant_blocks() -> None:
    for size in ("4M", "30M"):
        config = PretrainConfig.model_validate({"size": size})
        assert config.d % 256 == config.ff % 256 == config.heads * config.head_dim % 256 == 0


def test_what_is_given_wins_over_the_size_and_survives_a_round_trip() -> None:
    config = PretrainConfig.model_validate({"size": "30M", "layers": 3, "vocabulary": "byte"})
    assert (config.d, config.layers, config.vocabulary) == (512, 3, "byte")
    assert PretrainConfig.model_validate(config.model_dump(mode="json")) == config
    assert PretrainConfig() == PretrainConfig.model_validate({"size": "4M"})


def test_minutes_take_the_place_of_tokens() -> None:
    assert PretrainConfig(minutes=2.0).tokens is None
    with pytest.raises(ValidationError, match="one of tokens and minutes"):
        PretrainConfig(minutes=2.0, tokens=1000)
    with pytest.raises(ValidationError, match="one of tokens and minutes"):
        PretrainConfig(tokens=None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"heads": 4, "kv_heads": 3}, "evenly"),
        ({"head_dim": 33}, "odd"),
        ({"vocab_size": 258}, "259 or more"),
        ({"size": "5M"}, "size"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PretrainConfig.model_validate(given)


@pytest.mark.parametrize(
    ("batch", "micro", "parts", "size"),
    [(1024, 4096, 1, 1024), (4096, 4096, 1, 4096), (6000, 4096, 2, 3000), (9001, 4096, 3, 3001)],
)
def test_a_step_is_cut_into_equal_parts_that_hold_the_tokens_asked_for(
    batch: int, micro: int, parts: int, size: int
) -> None:
    config = PretrainConfig(batch_tokens=batch, micro_tokens=micro)
    assert (config.micro_batches, config.micro_size) == (parts, size)
    settings = train_config(config, 3)
    assert (settings.accumulation, settings.pack) == (parts, size)


@pytest.mark.parametrize("batch", [200, 300])
def test_a_step_too_small_for_a_window_is_refused_with_the_numbers(batch: int) -> None:
    with pytest.raises(ValidationError, match=f"batch_tokens {batch} .* no window of 256"):
        PretrainConfig(batch_tokens=batch, micro_tokens=256)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_the_config_file_is_one_that_transformers_builds(family: str) -> None:
    from seemant.models.load import build

    config = PretrainConfig.model_validate({"size": "0.1M", "family": family})
    said = hf_config(config, tokenizer_of(byte_metadata()))
    assert family_of_config(said) == Family(family, 2, 2)
    norms = 2 * 2 * config.head_dim if family == "qwen3" else 0  # of queries and keys
    model = build(said)
    assert sum(each.numel() for each in model.parameters()) == count(config) + norms
    assert model.config.vocab_size == 258 and model.config.head_dim == 32
