"""The llama.cpp backend on a tiny model: the same answer, whatever came before."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seemant.core.errors import BadFile, InputError
from seemant.models.backends.likelihood import token_nats
from seemant.models.backends.llama_blocks import BLOCK
from seemant.models.backends.llamacpp import LlamaCpp
from seemant.models.backends.lockstep import ALONE
from seemant.models.backends.protocol import STUDY_SAMPLING, Sampling
from seemant.models.backends.tiny import N_TOKENS, write_tiny
from tests.models.backends.texts import LONG, SHOTS, seats_of

FIRST, SECOND = SHOTS + "Question: abc?\nAnswer:", SHOTS + "प्रश्न: कौन?\nAnswer:"


def fresh_rows(path: Path, text: str, first: int) -> NDArray[np.float32]:
    with LlamaCpp(path, context=512) as model:
        return np.concatenate(list(model.logprobs(model.encode(text), first)))


def test_a_reused_prefix_changes_no_bit_of_an_answer(model: LlamaCpp, tiny_gguf: Path) -> None:
    for sampling in (Sampling(max_new_tokens=24), STUDY_SAMPLING):
        for before in (FIRST, LONG, "abc", SECOND):
            model.generate(before, sampling)
            reused = model.generate(SECOND, sampling)
            with LlamaCpp(tiny_gguf, context=512) as fresh:
                assert fresh.generate(SECOND, sampling) == reused


TALK = "You are a helpful thing, and you know what there is to know.<|end|>"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TALK + "abc", TALK + "the cat"),
        (TALK + TALK + "abc", TALK + "the cat" + TALK),
        (TALK + "abc<|end|>", TALK + "abc" + TALK),
        (TALK[:-7] + " and more of it", TALK + "the cat"),  # the seam stands in one alone
        (TALK + "abc", TALK[:-7] + " and more of it"),
        (TALK[:40] + "<|end|>" + SHOTS, TALK[:40] + SHOTS),
    ],
)
def test_texts_that_part_at_a_seam_share_whole_blocks_and_change_no_bit(
    model: LlamaCpp, tiny_gguf: Path, first: str, second: str
) -> None:
    model.generate(first, Sampling(max_new_tokens=8))
    reused = model.loglikelihood(second, [" a"])
    with LlamaCpp(tiny_gguf, context=512) as fresh:
        assert fresh.loglikelihood(second, [" a"]) == reused


def test_a_system_prompt_is_read_once(model: LlamaCpp, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[int] = []
    decode = seats_of(model)._decode
    monkeypatch.setattr(
        seats_of(model),
        "_decode",
        lambda *of: (evaluated.append(len(of[1])), decode(*of))[1],
    )
    for question in ("abc", "the cat"):
        evaluated.clear()
        model.generate(TALK + question, Sampling(max_new_tokens=1))
    assert sum(evaluated) == len(model.encode("<|end|>the cat", special=False))


def test_a_reused_prefix_changes_no_bit_of_a_probability(model: LlamaCpp, tiny_gguf: Path) -> None:
    tokens = model.encode(SECOND)
    model.generate(LONG, Sampling(max_new_tokens=8))
    for first in (1, BLOCK, BLOCK + 1, len(tokens) - 1):
        model.generate(FIRST, Sampling(max_new_tokens=8))
        rows = np.concatenate(list(model.logprobs(tokens, first)))
        assert np.array_equal(rows, fresh_rows(tiny_gguf, SECOND, first))


def test_the_prefix_really_is_reused(model: LlamaCpp, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[int] = []
    logits = seats_of(model)._logits
    monkeypatch.setattr(
        seats_of(model),
        "_logits",
        lambda *of: (evaluated.append(of[0].n_tokens), logits(*of))[1],
    )
    model.generate(FIRST, Sampling(max_new_tokens=1))
    first = sum(evaluated)
    evaluated.clear()
    model.generate(SECOND, Sampling(max_new_tokens=1))
    shared = len(model.encode(SHOTS)) // BLOCK * BLOCK
    assert sum(evaluated) == len(model.encode(SECOND)) - shared < first


@pytest.mark.parametrize("prompt", [FIRST, SHOTS[: BLOCK - 1] + ".", "abc"])
def test_the_same_prompt_again_is_read_once_and_changes_no_bit(
    model: LlamaCpp, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch, prompt: str
) -> None:
    """A probe's answer, then the likelihood of right and wrong ones, then the sampled answer."""
    options = [" a", " the abc", " दिल्ली और मुंबई" * 4]
    with LlamaCpp(tiny_gguf, context=512) as fresh:
        expected = fresh.loglikelihood(prompt, options)
    with LlamaCpp(tiny_gguf, context=512) as fresh:
        sampled = fresh.generate(prompt, STUDY_SAMPLING)
    model.generate(LONG, Sampling(max_new_tokens=8))
    model.generate(prompt, Sampling(max_new_tokens=24))
    evaluated: list[int] = []
    logits = seats_of(model)._logits
    with monkeypatch.context() as patch:
        patch.setattr(
            seats_of(model),
            "_logits",
            lambda *of: (evaluated.append(of[0].n_tokens), logits(*of))[1],
        )
        assert model.loglikelihood(prompt, options) == expected
    assert sum(evaluated) == sum(each.n_tokens - 1 for each in expected)
    assert model.generate(prompt, STUDY_SAMPLING) == sampled
    assert model.loglikelihood(prompt, options[::-1]) == expected[::-1]


def test_likelihood_is_the_sum_of_the_rows(model: LlamaCpp) -> None:
    for context in ("Question: the abc?\nAnswer:", SHOTS):
        for continuation in (" the", " abc and the", " दिल्ली" * 8):
            (found,) = model.loglikelihood(context, [continuation])
            tokens = model.encode(
                context.rstrip() + context[len(context.rstrip()) :] + continuation
            )
            n = found.n_tokens
            rows = np.concatenate(list(model.logprobs(tokens, len(tokens) - n)))
            assert found.nats == pytest.approx(rows[range(n), tokens[-n:]].sum(), abs=2e-3)
            assert found.n_bytes == len(continuation.strip().encode())


def test_a_short_continuation_is_scored_as_it_would_be_written(model: LlamaCpp) -> None:
    for text in (" a", " abc", " the"):
        (found,) = model.loglikelihood(FIRST, [text])
        tokens = model.encode(text, special=False)
        assert found.n_tokens == len(tokens) <= ALONE
        logits, advance = model.begin(model.encode(FIRST))
        nats = 0.0
        for token in tokens:
            nats += token_nats(logits[None], [token])
            logits = advance(token)
        assert found.nats == nats


def test_a_score_depends_on_neither_neighbours_nor_history(model: LlamaCpp) -> None:
    options = [" a", " the abc", " ದೆಹಲಿ ಮತ್ತು ಮುಂಬೈ ಮತ್ತು ಚೆನ್ನೈ", " the"]
    together = model.loglikelihood(FIRST, options)
    assert model.loglikelihood(FIRST, options[::-1]) == together[::-1]
    model.generate(LONG, Sampling())
    assert [model.loglikelihood(FIRST, [option])[0] for option in options] == together


def test_likelihood_ignores_on_which_side_the_space_stands(model: LlamaCpp) -> None:
    for word in ("the", "abc", "दिल्ली", "ದೆಹಲಿ"):
        assert model.loglikelihood("Answer: ", [word]) == model.loglikelihood(
            "Answer:", [f" {word}"]
        )


def test_probabilities_sum_to_one_and_come_in_slices(model: LlamaCpp) -> None:
    tokens = model.encode("the abc " * 20)
    slices = list(model.logprobs(tokens, 1))
    assert all(len(rows) <= 64 for rows in slices)
    rows = np.concatenate(slices)
    assert rows.shape == (len(tokens) - 1, N_TOKENS)
    np.testing.assert_allclose(np.exp(rows, dtype=np.float64).sum(1), 1.0, atol=1e-5)


def test_a_slice_belongs_to_the_caller(model: LlamaCpp) -> None:
    tokens = model.encode("x" * 150)
    kept = []
    for rows in model.logprobs(tokens, 1):
        kept.append(rows.copy())
        rows[:] = 0
    assert np.array_equal(np.concatenate(kept), np.concatenate(list(model.logprobs(tokens, 1))))


def test_two_processes_write_the_same_text(tiny_gguf: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from seemant.models.backends.llamacpp import LlamaCpp\n"
        "from seemant.models.backends.protocol import STUDY_SAMPLING\n"
        "with LlamaCpp(Path(sys.argv[1])) as m: print(repr(m.generate('the abc', STUDY_SAMPLING)))"
    )
    command = [sys.executable, "-c", code, str(tiny_gguf)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout != ""
    assert runs[0].stderr == ""  # llama.cpp is silent


def test_streamed_pieces_join_to_the_text(model: LlamaCpp) -> None:
    whole = model.generate(FIRST, Sampling(max_new_tokens=20))
    assert "".join(model.generate_stream(FIRST, Sampling(max_new_tokens=20))) == whole.text
    assert whole.n_new == 20


def test_a_stop_string_ends_the_answer(model: LlamaCpp) -> None:
    whole = model.generate(FIRST, Sampling(max_new_tokens=20)).text
    stop = whole[5:7]
    cut = model.generate(FIRST, Sampling(max_new_tokens=20), [stop])
    assert cut.finish_reason == "stop"
    assert cut.text == whole[: whole.find(stop)]


def test_an_interrupted_stream_refuses_to_go_on_in_anothers_cache(model: LlamaCpp) -> None:
    stream = model.generate_stream(FIRST, Sampling(max_new_tokens=20))
    next(stream)
    model.generate(SECOND, Sampling())
    with pytest.raises(RuntimeError, match="another evaluation"):
        list(stream)


def test_what_does_not_fit_is_refused_with_numbers(model: LlamaCpp) -> None:
    with pytest.raises(InputError, match=r"600.* 32 more .* 512"):
        model.generate("x" * 599, Sampling())
    with pytest.raises(InputError):
        list(model.logprobs(model.encode("x" * 599), 1))
    with pytest.raises(InputError):
        model.loglikelihood("x" * 500, [" " + "y" * 100])


def test_steps_beyond_the_context_are_refused_before_llamacpp_aborts(tiny_gguf: Path) -> None:
    with LlamaCpp(tiny_gguf, context=32) as small:
        with pytest.raises(InputError, match="33 tokens"):
            small.begin(small.encode("x" * 32))
        _, advance = small.begin(small.encode("x" * 30))
        advance(5)
        with pytest.raises(InputError, match="33 tokens"):
            advance(5)


def test_a_text_of_exactly_the_context_fits(model: LlamaCpp) -> None:
    assert model.generate("x" * 480, Sampling(max_new_tokens=31)).n_prompt == 481
    tokens = model.encode("x" * 511)
    assert sum(len(rows) for rows in model.logprobs(tokens, 1)) == 511


def test_begin_and_control_tokens_are_read_as_tokens(model: LlamaCpp) -> None:
    bare, marked = model.encode("the", special=False), model.encode("the")
    assert marked == [N_TOKENS - 2, *bare]
    assert model.encode("the<|end|>", special=False) == [*bare, N_TOKENS - 1]
    assert model.piece(N_TOKENS - 1) == b""


def test_an_adapter_changes_the_scores_and_only_when_given(
    tiny_gguf: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import write_gguf_lora

    lora = tmp_path / "adapter.gguf"
    write_gguf_lora(tiny_adapter, lora, open_gguf(tiny_gguf))
    with LlamaCpp(tiny_gguf) as plain, LlamaCpp(tiny_gguf, adapter=lora) as tuned:
        assert plain.loglikelihood("the", [" abc"]) != tuned.loglikelihood("the", [" abc"])
    with LlamaCpp(tiny_gguf) as again, LlamaCpp(tiny_gguf) as plain:
        assert plain.loglikelihood("the", [" abc"]) == again.loglikelihood("the", [" abc"])


def test_files_that_are_no_models_are_named(tiny_gguf: Path, tmp_path: Path) -> None:
    cut, noise = tmp_path / "cut.gguf", tmp_path / "noise.gguf"
    content = tiny_gguf.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    noise.write_bytes(b"\x00\xff" * 1000)
    for path in (cut, noise, tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(BadFile) as caught:
            LlamaCpp(path)
        assert str(path) in str(caught.value)


def test_an_adapter_of_another_model_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    write_tiny(other, seed=1)
    with pytest.raises(BadFile, match="adapter"):
        LlamaCpp(tiny_gguf, adapter=other)
    with pytest.raises(BadFile, match="adapter"):
        LlamaCpp(tiny_gguf, adapter=tmp_path / "absent.gguf")


def test_a_closed_model_says_so(tiny_gguf: Path) -> None:
    model = LlamaCpp(tiny_gguf)
    model.close()
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model.generate("a", Sampling())
