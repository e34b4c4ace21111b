"""A rotated model gives the same logits; Gemma is refused."""

import pytest
import torch

from seemant.compress.rotate.orthogonal import rotation
from seemant.compress.rotate.rotate import gain_of, rotate_model, rotate_tensor
from seemant.core.errors import BadConfig
from tests.compress.awq.tiny import D, file_logits, moved, tiny_shape, tiny_state, to_file


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_stay_and_a_tied_head_becomes_its_own(family: str, tied: bool) -> None:
    shape = tiny_shape(family, tied=tied)
    tensors = to_file(shape, tiny_state(shape))
    out = rotate_model(tensors, family, seed=0)
    assert set(out) == {*tensors, "output.weight"}
    untied = tiny_shape(family, tied=False)
    assert moved(file_logits(untied, out), file_logits(shape, tensors)) < 1e-5
    assert moved(out["blk.0.ffn_down.weight"], tensors["blk.0.ffn_down.weight"]) > 0.1
    assert not torch.equal(out["output.weight"], out["token_embd.weight"])
    # tied again, it would be another model
    again = {name: each for name, each in out.items() if name != "output.weight"}
    assert moved(file_logits(tiny_shape(family), again), file_logits(shape, tensors)) > 0.1


def test_outliers_of_a_channel_spread() -> None:
    shape = tiny_shape("llama")
    tensors = to_file(shape, tiny_state(shape))
    tensors["token_embd.weight"][:, 5] *= 40
    out = rotate_model(tensors, "llama", seed=0)["token_embd.weight"]
    before, after = (each.abs().max() / each.square().mean().sqrt() for each in _pair(tensors, out))
    assert after < before / 2


def test_rows_of_a_tensor_can_be_rotated_by_themselves() -> None:
    shape = tiny_shape("qwen2", tied=False)
    tensors = to_file(shape, tiny_state(shape))
    whole, r = rotate_model(tensors, "qwen2", seed=2), rotation(D, 2)
    for name in ("output.weight", "token_embd.weight", "blk.1.attn_k.weight"):
        gain = gain_of(name)
        rows = rotate_tensor(name, tensors[name][8:16], r, None if gain is None else tensors[gain])
        torch.testing.assert_close(rows, whole[name][8:16], rtol=1e-5, atol=1e-6)


def test_gemma_is_refused_with_the_reason_and_strangers_with_a_hint() -> None:
    shape = tiny_shape("gemma3")
    with pytest.raises(BadConfig, match="norms after attention"):
        rotate_model(to_file(shape, tiny_state(shape)), "gemma3", seed=0)
    with pytest.raises(BadConfig, match=r"did you mean .qwen"):
        rotate_model({}, "qwen", seed=0)


def _pair(tensors: dict[str, torch.Tensor], out: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tensors["token_embd.weight"], out
