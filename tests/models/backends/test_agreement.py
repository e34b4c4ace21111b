"""llama.cpp against torch: the same tokens, the same probabilities."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.backends.llamacpp import LlamaCpp
from seemant.models.backends.open import open_backend
from seemant.models.backends.protocol import STUDY_SAMPLING, Backend, Sampling
from seemant.models.backends.torch_backend import Torch

TEXTS = {
    "hi": "भारत एक विशाल देश है, जिसमें अनेक भाषाएँ बोली जाती हैं। दिल्ली की जनसंख्या क्या है?",
    "kn": "ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ ಬೆಂಗಳೂರು. ಇಲ್ಲಿನ ಜನರು ಕನ್ನಡ ಮಾತನಾಡುತ್ತಾರೆ; ಕೃಷಿ ಮುಖ್ಯ ವೃತ್ತಿ.",
    "en": "The capital of India is New Delhi, isn't it? It's 27 degrees at 10:45 today.",
    "code": "def f(x: int) -> str:\n    return f'{x**2:>8}'  # square\n\n\tfor i in range(9): <b>",
}


@pytest.fixture
def both(tiny_gguf: Path, own_cache: Path) -> Iterator[tuple[Torch, LlamaCpp]]:
    with Torch(tiny_gguf, context=512) as torch, LlamaCpp(tiny_gguf, context=512) as llama:
        yield torch, llama


def divergence(
    reference: Backend, other: Backend, tokens: list[int]
) -> tuple[float, NDArray[np.float32]]:
    """Return the mean KLD and every token's difference in log-probability."""
    p, q = (np.concatenate(list(each.logprobs(tokens, 1))) for each in (reference, other))
    kld = (np.exp(p, dtype=np.float64) * (p - q)).sum(1)
    return float(kld.mean()), np.abs(p - q)[range(len(p)), tokens[1:]]


@pytest.mark.parametrize("name", TEXTS)
def test_a_tiny_model_agrees_in_tokens_and_probabilities(
    both: tuple[Torch, LlamaCpp], name: str
) -> None:
    torch, llama = both
    tokens = llama.encode(TEXTS[name])
    assert torch.encode(TEXTS[name]) == tokens
    assert torch.encode(TEXTS[name], special=False) == tokens[1:]
    kld, differences = divergence(torch, llama, tokens)
    assert kld <= 1e-4
    assert np.quantile(differences, 0.99) <= 0.02


def test_both_score_and_count_alike(both: tuple[Torch, LlamaCpp]) -> None:
    torch, llama = both
    options = [" the", " दिल्ली", " abc the"]
    for one, other in zip(
        torch.loglikelihood("Q: the\nA:", options),
        llama.loglikelihood("Q: the\nA:", options),
        strict=True,
    ):
        assert one.nats == pytest.approx(other.nats, abs=0.02)
        assert (one.n_tokens, one.n_bytes) == (other.n_tokens, other.n_bytes)


def test_both_begin_an_answer_alike(both: tuple[Torch, LlamaCpp]) -> None:
    torch, llama = both
    for prompt in TEXTS.values():
        short = Sampling(max_new_tokens=2)
        assert torch.generate(prompt, short) == llama.generate(prompt, short)


def test_torchs_cached_steps_give_what_one_whole_pass_gives(both: tuple[Torch, LlamaCpp]) -> None:
    torch, _ = both
    text = torch.generate("the abc", Sampling(max_new_tokens=12)).text
    rows = np.concatenate(list(torch.logprobs(torch.encode("the abc" + text), 1)))
    n = len(torch.encode(text, special=False))
    expected = torch.encode("the abc" + text)[-n:]
    assert rows[-n:].argmax(1).tolist() == expected


def test_a_merged_adapter_and_a_gguf_lora_agree(
    tiny_gguf: Path, tiny_adapter: Path, own_cache: Path
) -> None:
    tokens: list[int] = []
    with (
        open_backend(tiny_gguf, kind="torch", adapter=tiny_adapter) as torch,
        open_backend(tiny_gguf, kind="llamacpp", adapter=tiny_adapter) as llama,
        open_backend(tiny_gguf, kind="llamacpp") as plain,
    ):
        tokens = llama.encode(TEXTS["en"])
        assert divergence(torch, llama, tokens)[0] <= 1e-4
        assert divergence(torch, plain, tokens)[0] > 1e-3


@pytest.mark.real
@pytest.mark.parametrize("fixture", ["gemma_gguf", "smol_gguf"])
def test_real_tokens_are_identical(fixture: str, request: pytest.FixtureRequest) -> None:
    from seemant.models.load import load_torch

    path: Path = request.getfixturevalue(fixture)
    tokenizer = load_torch(path).tokenizer
    with LlamaCpp(path) as llama:
        for text in TEXTS.values():
            assert tokenizer.encode(text) == llama.encode(text)


@pytest.mark.real
def test_gemma_in_float32_agrees_with_torch(gemma_gguf: Path, tmp_path: Path) -> None:
    source = open_gguf(gemma_gguf)
    path = tmp_path / "gemma-f32.gguf"

    def stored(name: str) -> TensorData:
        shape = source.tensors[name].shape
        return TensorData("F32", shape, lambda: [source.dequantize(name)])

    write_gguf(path, source.fields, {name: stored(name) for name in source.tensors})
    klds, differences = [], []
    with Torch(gemma_gguf) as torch, LlamaCpp(path) as llama:
        for text in TEXTS.values():
            kld, each = divergence(torch, llama, torch.encode(text))
            klds.append(kld)
            differences.append(each)
    path.unlink()  # a gigabyte
    assert max(klds) <= 1e-4
    assert np.quantile(np.concatenate(differences), 0.99) <= 0.02


@pytest.mark.real
def test_gemma_answers_the_same_with_and_without_a_reused_prefix(gemma_gguf: Path) -> None:
    shots = "Question: What is the capital of France?\nAnswer: Paris\n\n" * 8
    questions = [f"{shots}Question: {q}?\nAnswer:" for q in ("Who wrote Godan", "भारत की राजधानी")]
    with LlamaCpp(gemma_gguf) as model:
        reused = [model.generate(each, STUDY_SAMPLING, ["\n"]) for each in questions * 2]
    for each, found in zip(questions, reused[2:], strict=True):
        with LlamaCpp(gemma_gguf) as fresh:
            assert fresh.generate(each, STUDY_SAMPLING, ["\n"]) == found
    assert reused[:2] == reused[2:]


@pytest.mark.real
def test_gemma_prefers_the_right_capital(gemma_gguf: Path) -> None:
    with LlamaCpp(gemma_gguf) as model:
        right, wrong = model.loglikelihood(
            "Question: What is the capital of France?\nAnswer:", [" Paris", " Berlin"]
        )
    assert right.nats > wrong.nats + 1
