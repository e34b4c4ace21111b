"""Names and layouts: a bijection, and gguf-py's table says the same."""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import BadFile
from seemant.models.names import Family, to_gguf, to_hf, values_to_gguf, values_to_hf
from tests.models.tiny import FAMILIES, HEADS, KV_HEADS, LAYERS, stored, tiny_model


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_goes_to_gguf_and_back_and_gguf_py_agrees(family: str) -> None:
    table = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), LAYERS)
    names = [name for name, _ in tiny_model(family, tied=False).named_parameters()]
    there = [to_gguf(name, family) for name in names]
    assert there == [table.get_name(name, (".weight", ".bias")) for name in names]
    assert [to_hf(name, family) for name in there] == names
    assert len(set(there)) == len(names)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layout_goes_to_gguf_and_back_and_is_llama_cpps(family: str) -> None:
    facts = Family(family, HEADS, KV_HEADS)
    for name, parameter in tiny_model(family, tied=False).named_parameters():
        values, gguf_name = parameter.detach().numpy(), to_gguf(name, family)
        there = values_to_gguf(gguf_name, values, facts)
        np.testing.assert_array_equal(there, stored(name, values, family))
        back = values_to_hf(gguf_name, there, facts)
        np.testing.assert_allclose(back, values, atol=2e-7)  # +1 and -1 round in float32


@given(heads=st.integers(1, 6), half=st.integers(1, 5), columns=st.integers(0, 3))
def test_interleaving_a_matrix_or_a_bias_is_undone_exactly(
    heads: int, half: int, columns: int
) -> None:
    shape = (heads * 2 * half, *([columns] if columns else []))
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    facts = Family("llama", heads, heads)
    there = values_to_gguf("blk.0.attn_q.weight", values, facts)
    np.testing.assert_array_equal(values_to_hf("blk.0.attn_q.weight", there, facts), values)


@pytest.mark.parametrize("name", ["blk.0.attn_rel_b.weight", "v.patch_embd.weight", "x", ""])
def test_a_tensor_that_the_family_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(BadFile, match="has no tensor"):
        to_hf(name, "llama")
    with pytest.raises(BadFile, match="has no tensor"):
        to_gguf(name, "llama")


def test_only_gemma_has_norms_behind_the_blocks_halves() -> None:
    assert to_hf("blk.3.ffn_norm.weight", "llama").endswith("3.post_attention_layernorm.weight")
    assert to_hf("blk.3.ffn_norm.weight", "gemma3").endswith("3.pre_feedforward_layernorm.weight")
    with pytest.raises(BadFile):
        to_hf("blk.3.post_ffw_norm.weight", "llama")


def test_an_unknown_family_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(BadFile, match="gemma2") as caught:
        Family("gemma2", 1, 1)
    assert "gemma3" in str(caught.value)
