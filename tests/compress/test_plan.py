"""What cannot be done is refused before any work begins, with what to do instead."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.compress.config import CompressConfig
from seemant.compress.plan import plan_tensors
from seemant.core.config import validate
from seemant.core.errors import BadConfig
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf

Make = Callable[..., Path]


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A model with rows of 256 weights and one matrix with rows of 96."""
    shapes = {"token_embd": (8, 256), "blk.0.attn_q": (64, 256), "blk.0.ffn_down": (256, 96)}
    tensors = {
        f"{name}.weight": TensorData("F32", shape, np.ones(shape, np.float32))
        for name, shape in shapes.items()
    }
    path = tmp_path / "wide.gguf"
    write_gguf(path, {"general.architecture": MetaValue("string", "llama")}, tensors)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {"format": "q4_k"},
        {"embedding_format": "q6_k", "method": "gptq"},
        {"formats": ("attn_q=q5_k",)},
        {"format": "q4_k", "method": "gptq"},
    ],
)
def test_hqq_of_a_k_quant_is_refused_with_the_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(BadConfig, match=r"(?s)hqq finds no scales for q._k.*use fit mse"):
        validate(CompressConfig, {"fit": "hqq", **settings}, where="study.yaml", lines={})
    assert CompressConfig(fit="mse", **settings).fit == "mse"


def test_hqq_stands_beside_k_quants_that_another_method_fits() -> None:
    assert CompressConfig(fit="hqq", method="imatrix", format="q4_k").fit == "hqq"
    assert CompressConfig(fit="hqq", embedding_format="q6_k").outer_fit == "minmax"


def test_hqq_is_refused_where_a_search_may_choose_a_k_quant(wide: Path, tiny_model: Make) -> None:
    asked = {"search": True, "budget": "9MB", "fit": "hqq"}
    with pytest.raises(BadConfig, match="hqq finds no scales for q6_k"):
        plan_tensors(open_gguf(wide), CompressConfig(**asked))
    assert plan_tensors(open_gguf(tiny_model()), CompressConfig(**asked))  # rows of 64: none fits
    assert plan_tensors(open_gguf(wide), CompressConfig(**asked, menu=("q8_0", "q4_0")))


def test_k_quants_are_on_the_menu_of_the_rows_that_they_fit(wide: Path) -> None:
    search = CompressConfig(search=True, budget="9MB", menu=("q4_k", "q8_0"))
    assert plan_tensors(open_gguf(wide), search)
    with pytest.raises(BadConfig, match=r"none of q4_k fits rows of \[96\]") as caught:
        plan_tensors(open_gguf(wide), search.model_copy(update={"menu": ("q4_k",)}))
    assert "group mlp_mid" in str(caught.value) and "add q8_0 or f16" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "a budget of bytes or a limit of divergence, one of them"),
        ({"budget": "1MB", "divergence": 0.1}, "one of them"),
        ({"budget": "much"}, "'much' is no size"),
        ({"budget": "1MB", "menu": ("q8_0", "int3-sym-g32")}, "int3-sym-g32 at its own size"),
        ({"budget": "20KB"}, "no file of this model is as small as 20KB"),
    ],
)
def test_a_search_without_an_answer_is_refused_before_anything_is_measured(
    tiny_model: Make, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadConfig, match=said):
        plan_tensors(open_gguf(tiny_model()), CompressConfig(search=True, **settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"method": "gptq", "formats": ("token_embd=int6-asym-g32",)},
            "needs a format",
        ),
        ({"embedding_method": "gptq", "embedding_format": "int8-asym-g32"}, "needs a format"),
        ({"embedding_method": "sparsegpt", "embedding_format": "q4_1"}, "no exact zero"),
    ],
)
def test_what_the_embedding_s_method_cannot_do_is_refused_before_layers_are_calibrated(
    tiny_model: Make, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadConfig, match=said):
        plan_tensors(open_gguf(tiny_model()), CompressConfig(**settings))


def test_the_smallest_budget_that_is_named_is_one_that_can_be_kept(tiny_model: Make) -> None:
    file = open_gguf(tiny_model())
    with pytest.raises(BadConfig) as caught:
        plan_tensors(file, CompressConfig(search=True, budget="20KB"))
    least = int(str(caught.value).partition("menu is ")[2].split()[0])
    assert plan_tensors(file, CompressConfig(search=True, budget=str(least)))
    with pytest.raises(BadConfig, match="as small as"):
        plan_tensors(file, CompressConfig(search=True, budget=str(least - 1)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"menu": ("q4_9",)}, "(?s)menu: .*no format 'q4_9'.*did you mean 'q4_k'"),
        ({"format": "q9"}, "format: .*no format 'q9'"),
        ({"method": "gptk"}, "(?s)method: .*no method 'gptk'.*did you mean 'gptq'"),
        ({"formats": ("ffn_down:q4_0",)}, "formats: .*TENSOR=FORMAT, such as ffn_down=q5_0"),
    ],
)
def test_a_wrong_word_is_named_with_its_key(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadConfig, match=said):
        validate(CompressConfig, settings, where="study.yaml", lines={})


def test_a_searched_variant_is_named_after_what_was_asked() -> None:
    asked = CompressConfig(search=True, method="gptq", budget="240 MB")
    assert asked.variant_name == "gptq-mixed-240MB"
    assert CompressConfig(search=True, divergence=0.1).variant_name == "mixed-0.1"
    assert CompressConfig(search=True).variant_name == "mixed"
