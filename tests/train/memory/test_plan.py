"""A plan is a value, grows with what it has to hold, and says where its interval comes from."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.models.decoder.shape import DecoderShape, shape_of_config
from seemant.train.config import TrainConfig
from seemant.train.memory.plan import Plan, plan_of, predicted
from seemant.train.memory.plan_text import plan_text
from seemant.train.memory.search import plan_for
from tests.train.memory.test_terms import CONFIGS

NAMES = sorted(CONFIGS)
SHAPES = {name: shape_of_config(config) for name, config in CONFIGS.items()}
GEMMA = SHAPES["google/gemma-3-1b-it"]


def plan(
    shape: DecoderShape = GEMMA,
    *,
    tokens: int = 256,
    answers: int = 128,
    malloc: str = "mmap threshold",
    **settings: object,
) -> Plan:
    config = TrainConfig.model_validate({"batch": 1, "compute": "bfloat16", **settings})
    return plan_of(
        shape,
        config,
        max_length=tokens,
        answer_tokens=answers,
        malloc=malloc,  # type: ignore[arg-type]
    )


ARGUMENTS = {
    "name": st.sampled_from(NAMES),
    "tokens": st.integers(8, 2048),
    "rank": st.integers(1, 64),
    "block": st.sampled_from([512, 2048, 8192, 32768]),
    "base": st.sampled_from(["float", "int8", "int4", "nf4"]),
    "compute": st.sampled_from(["float32", "bfloat16"]),
    "again": st.booleans(),
    "malloc": st.sampled_from(["default", "mmap threshold"]),
}


@given(**ARGUMENTS)
def test_it_never_shrinks_with_tokens_answers_rank_block_or_rows(
    name: str,
    tokens: int,
    rank: int,
    block: int,
    base: str,
    compute: str,
    again: bool,
    malloc: str,
) -> None:
    def peak(**change: int) -> int:
        given = {"tokens": tokens, "answers": tokens // 2, "rank": rank, "vocab_block": block}
        given |= {"batch": 1} | change
        return plan(
            SHAPES[name],
            base=base,
            compute=compute,
            checkpointing=again,
            malloc=malloc,
            **given,
        ).peak_bytes

    least = peak()
    assert peak(tokens=tokens + 1) >= least
    assert peak(answers=tokens) >= least
    assert peak(rank=rank + 1) >= least
    assert peak(vocab_block=2 * block) >= least
    assert peak(batch=2) >= least


@given(**ARGUMENTS)
def test_every_step_of_exactness_takes_more(
    name: str,
    tokens: int,
    rank: int,
    block: int,
    base: str,
    compute: str,
    again: bool,
    malloc: str,
) -> None:
    peaks = [
        plan(SHAPES[name], tokens=tokens, rank=rank, base=kind, compute=compute).peak_bytes
        for kind in ("int4", "int8", "float")
    ]
    assert peaks == sorted(peaks)


def test_keeping_every_layer_takes_more_and_the_streamed_loss_less_than_full_logits() -> None:
    from seemant.train.memory import terms

    assert plan(checkpointing=False).peak_bytes > plan(checkpointing=True).peak_bytes
    assert terms.streamed_loss(GEMMA, 128, 8192, 2) < terms.full_logits(GEMMA, 128) / 20


def test_equal_plans_have_equal_hashes_and_a_changed_one_another() -> None:
    assert plan() == plan() and plan().sha256 == plan().sha256
    assert replace(plan(), vocab_block=2048).sha256 != plan().sha256


def test_the_terms_of_the_largest_phase_are_its_peak() -> None:
    found = plan(base="int8", embedding="int8", checkpointing=True)
    assert sum(found.terms.values()) == found.peak_bytes
    assert all(sum(v for _, v in items) <= found.peak_bytes for _, items in found.phases)
    assert found.peak_mb == pytest.approx(sum(found.terms_mb.values()))


def test_the_interval_is_that_of_earlier_misses_or_says_that_it_is_assumed() -> None:
    config = TrainConfig(batch=1)
    given = {"max_length": 256, "answer_tokens": 128}
    fixed = plan_of(GEMMA, config, malloc="mmap threshold", **given)
    loose = plan_of(GEMMA, config, malloc="default", **given)
    assert fixed.miss == (-0.1, 0.1) and "assumed" in fixed.miss_from
    assert loose.miss[1] == 0.3 and "not fixed" in loose.miss_from
    known = plan_of(GEMMA, config, misses=[0.02, -0.04, 0.03], **given)
    assert known.miss == (-0.04, 0.03)
    assert known.interval == (known.peak_bytes * 0.96, known.peak_bytes * 1.03)
    assert "3 misses on this machine" in known.miss_from


def test_as_a_measurement_it_is_predicted_with_its_interval() -> None:
    found = plan(base="int8")
    said = predicted("gemma+lora", found)
    assert (said.origin, said.metric, said.unit) == ("predicted", "peak_rss", "bytes")
    assert said.value == found.peak_bytes
    assert said.conditions["base"] == "int8" and said.conditions["tokens"] == 256
    assert said.timed  # runs on two machines do not agree on it


def test_a_gpu_s_memory_is_predicted_with_context_and_reserve_and_the_host_s_stands_apart() -> None:
    shape = SHAPES["Qwen/Qwen2.5-7B-Instruct"]
    config = TrainConfig(base="nf4", compute="bfloat16", rank=32, checkpointing=True, batch=1)
    found = plan_of(shape, config, max_length=512, answer_tokens=256, device="cuda")
    assert found.terms["runtime"] == 0 and found.host_bytes
    assert {"CUDA context", "reserved beyond tensors"} <= set(found.terms)
    assert "no GPU was measured" in found.miss_from
    assert "all predicted" in plan_text(found)


def test_packed_rows_and_rows_side_by_side_take_the_same() -> None:
    packed = plan(pack=512, tokens=256)
    assert packed.tokens == 512 and packed.micro is None
    assert packed.peak_bytes == plan(batch=2, tokens=256).peak_bytes
    assert plan(pack=64, tokens=256).tokens == 256  # the longest row has to fit


def test_all_rows_are_answers_unless_the_share_is_known() -> None:
    config = TrainConfig(batch=3)
    assert plan_for(GEMMA, config, 100).answer_share == 1.0
    assert plan_for(GEMMA, config, 100, 0.25).answer_share == 0.25


def test_the_text_holds_every_term_the_peak_and_the_other_phases() -> None:
    found = plan(base="int8")
    text = plan_text(found, "gemma")
    for name, value in found.terms_mb.items():
        assert not value or (f"{value:,.1f} MB" in text and name in text)
    assert f"{found.peak_mb:,.1f} MB" in text
    assert all(phase in text for phase, _ in found.phases)
