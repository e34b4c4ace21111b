"""Rows of a flat batch know nothing of each other."""

import pytest
import torch

from tests.models.decoder.variants import VARIANTS, hf_model, ours, some_ids

LENGTHS = [17, 1, 17, 17, 0, 70, 3]  # runs of equal length, one token, none, several blocks


@pytest.mark.parametrize("name", VARIANTS)
def test_packed_rows_give_what_they_give_alone(name: str) -> None:
    decoder = ours(hf_model(name))
    ids = some_ids(sum(LENGTHS))
    with torch.no_grad():
        packed = decoder(ids, LENGTHS)
        alone = [decoder(each, [len(each)]) for each in ids.split(LENGTHS) if len(each)]
    assert (packed - torch.cat(alone)).abs().max() <= 1e-6 * packed.abs().max()


@pytest.mark.parametrize("name", ["llama", "qwen2, windows", "gemma3"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_loss_of_one_row_has_no_gradient_to_another(name: str, checkpointing: bool) -> None:
    decoder = ours(hf_model(name))
    decoder.checkpointing = checkpointing
    for of in range(len(LENGTHS)):
        x = decoder.embed(some_ids(sum(LENGTHS))).requires_grad_()
        decoder.run(x, LENGTHS).split(LENGTHS)[of].sum().backward()
        assert x.grad is not None
        norms = [float(each.norm()) for each in x.grad.split(LENGTHS)]
        assert norms[of] > 0 or not LENGTHS[of]
        assert not any(norms[:of] + norms[of + 1 :])


def test_joining_two_rows_is_seen_to_leak() -> None:
    """The test above can fail: one long row is not two short ones."""
    decoder = ours(hf_model("llama"))
    x = decoder.embed(some_ids(20)).requires_grad_()
    decoder.run(x, [20])[10:].sum().backward()
    assert x.grad is not None and float(x.grad[:10].norm()) > 0


def test_lengths_that_are_not_the_ids_are_refused() -> None:
    decoder = ours(hf_model("llama"))
    with pytest.raises(ValueError, match="10 ids"):
        decoder(some_ids(10), [4, 5])


def test_no_tokens_at_all_give_no_rows() -> None:
    decoder = ours(hf_model("gemma3"))
    assert decoder(some_ids(0), []).shape == (0, 64)
    assert decoder(some_ids(0), [0, 0]).shape == (0, 64)
