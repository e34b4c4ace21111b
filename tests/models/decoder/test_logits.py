"""The decoder is transformers' model, for every family and branch."""

from pathlib import Path

import pytest
import torch

from seemant.models.decoder.load import load_decoder
from seemant.models.load import load_torch
from tests.models.decoder.variants import VARIANTS, hf_model, logits, ours, some_ids


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_are_those_of_transformers(name: str) -> None:
    """Lengths of one block, of several, and longer than every window."""
    model = hf_model(name)
    decoder = ours(model)
    for n in (1, 5, 23, 150):
        ids = some_ids(n)
        with torch.no_grad():
            wanted = model(ids[None]).logits[0]
            got = logits(decoder, ids, [n])
        assert _error(got, wanted) <= 1e-5, n


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_to_the_embeddings_are_those_of_transformers(name: str) -> None:
    model, n = hf_model(name), 70
    decoder, ids = ours(model), some_ids(n)
    scores = torch.randn(n, 96, generator=torch.Generator().manual_seed(1))
    inputs = model.get_input_embeddings()(ids).detach().requires_grad_()
    (model(inputs_embeds=inputs[None]).logits[0] * scores).sum().backward()
    mine = decoder.embed(ids).requires_grad_()
    out = decoder.run(mine, [n]) @ decoder.head.dequantised(torch.float32).T
    cap = decoder.shape.softcap
    ((out if cap is None else cap * torch.tanh(out / cap)) * scores).sum().backward()
    assert mine.grad is not None and _error(mine.grad, inputs.grad) <= 2e-5


def test_a_soft_cap_a_window_and_a_rotation_do_change_the_logits() -> None:
    """Otherwise the tests above could pass without them."""
    ids, n = some_ids(40), 40
    for one, other in (
        ("gemma3", "gemma3, soft-caps"),
        ("qwen2", "qwen2, windows"),
        ("llama", "llama 3 rotation"),
        ("llama", "llama, linear rotation"),
    ):
        with torch.no_grad():
            a, b = (logits(ours(hf_model(each)), ids, [n]) for each in (one, other))
        assert _error(a, b) > 1e-3, other


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3"])
def test_bfloat16_is_as_close_to_float32_as_transformers_in_bfloat16(name: str) -> None:
    model, ids = hf_model(name), some_ids(90)
    with torch.no_grad():
        exact = model(ids[None]).logits[0]
        mine = logits(ours(model, compute="bfloat16"), ids, [90])
        theirs = model.to(torch.bfloat16)(ids[None]).logits[0].float()
    assert 1e-4 < _error(mine, exact) <= 1.1 * _error(theirs, exact)


@pytest.mark.real
@pytest.mark.parametrize("which", ["gemma_gguf", "smol_gguf"])
def test_the_real_models_give_the_logits_of_transformers(
    which: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(which)
    loaded = load_decoder(path)
    assert loaded.tokenizer is not None
    text = "The river rises in the hills. नदी पहाड़ों से निकलती है और समुद्र में मिलती है।"
    ids = torch.tensor(loaded.tokenizer.encode(text))
    oracle = load_torch(path)
    assert oracle.tokenizer.encode(text) == ids.tolist()
    assert (loaded.template, loaded.sha256) == (oracle.template, oracle.facts.sha256)
    assert loaded.decoder.shape.n_parameters() == oracle.facts.n_parameters
    with torch.no_grad():
        wanted = oracle.model(ids[None]).logits[0]
        got = logits(loaded.decoder, ids, [len(ids)])
    assert _error(got, wanted) <= 1e-5


def _error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())
