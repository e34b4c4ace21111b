"""Training small decoders from nothing: tokens a second and FLOP utilisation, transformers as peer.

    python benchmarks/pretrain_speed.py [--sizes 1M 4M 10M] [--pairs 7] [--threads N]

The peer is the plain loop that people write: `LlamaForCausalLM` of the same shape with the same
first weights, its own loss, clipping, AdamW, one optimiser step of 4,096 tokens. Two kinds of
steps. "full": 16 windows of 256 tokens, where nothing has to be padded. "documents": real
paragraphs (the corpus that ships), which the peer pads to the longest with a mask and the loop
here lays end to end; only real tokens are counted. Both sides take the same steps on the same
windows in turn (A B A B), in one process, after two warm-up steps each; losses are compared at
every step.

The bar: in every row, that is for each size and each kind of step, the median ratio is 1.0 or more:
not slower than the plain loop. How much faster is a finding, not a bar. A row reports tokens a
second and utilisation as the median over n paired steps, with the least and the greatest.
Utilisation: a step's useful operations (docs/pretrain.md) over its time and over the fastest
product of matrices that this machine was seen to make, measured before and after. The last line is
one JSON object.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from claim import machine, say_claim

SIZES = ("1M", "4M", "10M")
STEP_TOKENS, CONTEXT = 4096, 256
RATIO_BAR = 1.0  # median of paired tokens a second, ours over theirs: in every row not slower
LOSS_BAR = 2e-3  # nats: the largest difference of losses at any step
WARM = 2
RATE = 1e-3


def main() -> int:
    """Measure, print rows, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES))
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    args = parser.parse_args()
    import torch

    from seemant.core.machine import cores

    threads = args.threads or cores()
    torch.set_num_threads(threads)
    print(machine())
    print(f"float32, {threads} threads, {STEP_TOKENS} tokens a step, windows of {CONTEXT}")
    rows = []
    for size in args.sizes:
        for kind in ("full", "documents"):
            rows.append(compare(size, kind, args.pairs))
            print(line(rows[-1]), flush=True)
    worst = min(rows, key=lambda row: row["ratio"])
    holds = all(row["ratio"] >= RATIO_BAR and row["loss_difference"] <= LOSS_BAR for row in rows)
    say_claim(
        name="pretrain_speed",
        value=worst["ratio"],
        bar=RATIO_BAR,
        holds=holds,
        n=args.pairs,
        peer="transformers LlamaForCausalLM, plain loop",
        ratio=worst["ratio"],
        rows=rows,
    )
    return 0 if holds else 1


def compare(size: str, kind: str, pairs: int) -> dict[str, Any]:
    """Return one row: medians of the paired steps, their ratio's range, losses, utilisation."""
    from seemant.train.pretrain.config import PretrainConfig
    from seemant.train.pretrain.flops import peak_flops, training_flops

    config = PretrainConfig.model_validate({"size": size, "context": CONTEXT})
    batches, tokenizer = windows(config, kind, WARM + pairs)
    ours, theirs = sides(config, tokenizer)
    peaks = [peak_flops("float32")]
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    difference = 0.0
    for step, batch in enumerate(batches):
        seconds, losses = {}, {}
        order = ("ours", "theirs") if step % 2 else ("theirs", "ours")
        for name in order:
            start = time.perf_counter()
            losses[name] = (ours if name == "ours" else theirs)(step, batch)
            seconds[name] = time.perf_counter() - start
        difference = max(difference, abs(losses["ours"] - losses["theirs"]))
        if step >= WARM:
            for name in order:
                times[name].append(sum(len(row.ids) for row in batch) / seconds[name])
    peaks.append(peak_flops("float32"))
    lengths = [[len(row.ids) for row in batch] for batch in batches[WARM:]]
    a_token = [training_flops(config, tokenizer.n_tokens, each) / sum(each) for each in lengths]
    used = {
        name: [rate * work / max(peaks) for rate, work in zip(rates, a_token, strict=True)]
        for name, rates in times.items()
    }
    ratios = [a / b for a, b in zip(times["ours"], times["theirs"], strict=True)]
    return {
        "size": size,
        "what": kind,
        "n": pairs,
        **spread("tokens_per_s", times["ours"]),
        **spread("peer_tokens_per_s", times["theirs"]),
        **spread("ratio", ratios),
        **spread("utilisation", used["ours"]),
        **spread("peer_utilisation", used["theirs"]),
        "peak_gflops": [each / 1e9 for each in peaks],
        "loss_difference": difference,
    }


def spread(name: str, values: list[float]) -> dict[str, Any]:
    """Return a row's entries for one quantity: its median, and its least and greatest value."""
    return {name: median(values), f"{name}_range": [min(values), max(values)]}


def windows(config: Any, kind: str, n: int) -> tuple[list[list[Any]], Any]:
    """Return n steps' rows, and the tokenizer whose vocabulary they are written in."""
    from array import array

    from seemant.core.records import LANGUAGES
    from seemant.corpus.shipped import shipped
    from seemant.train.pretrain.recipe import order_of
    from seemant.train.pretrain.vocabulary import bpe_metadata, tokenizer_of
    from seemant.train.pretrain.windows import windows_of
    from seemant.train.rows.render import Row

    documents = [each for lang in LANGUAGES for each in shipped(lang)]
    tokenizer = tokenizer_of(bpe_metadata([each.text for each in documents], config.vocab_size))
    some = windows_of(documents, tokenizer, CONTEXT)
    if kind == "documents":
        order = order_of(some, config)
        return [[some[i] for i in order.step(step, 1)[0]] for step in range(n)], tokenizer
    stream = some.ids.tolist() * (1 + n * (STEP_TOKENS + 1) // len(some.ids))
    starts = range(0, n * STEP_TOKENS, CONTEXT)
    rows = [
        Row(
            key=str(start),
            paragraph=str(start),
            lang="en",
            ids=array("i", stream[start : start + CONTEXT]),
            targets=array("i", stream[start + 1 : start + CONTEXT + 1]),
            n_prompt=1,
        )
        for start in starts
    ]
    a_step = STEP_TOKENS // CONTEXT
    return [rows[i * a_step : (i + 1) * a_step] for i in range(n)], tokenizer


Step = Callable[[int, list[Any]], float]


def sides(config: Any, tokenizer: Any) -> tuple[Step, Step]:
    """Return both sides' optimiser steps: (number, rows) -> loss, from the same first weights."""
    import torch

    from seemant.models.load import build
    from seemant.train.adapt import Dropout
    from seemant.train.objective import answers_only
    from seemant.train.optim import Pace
    from seemant.train.pretrain.session import FILL, made, optimiser_of
    from seemant.train.pretrain.shape import hf_config
    from seemant.train.scale.world import Lone
    from seemant.train.step import Trainee, update
    from seemant.train.student import Student

    said = hf_config(config, tokenizer)
    decoder = made(config, said)
    parameters = dict(decoder.named_parameters())
    first = {name: each.detach().clone() for name, each in parameters.items()}
    student = Student(decoder, fill=FILL)
    optimiser = optimiser_of(config, parameters.values())
    trainee = Trainee(parameters, answers_only(student), optimiser, Dropout(0.0, 0))
    pace = Pace(steps=1000, accumulation=1, lr=RATE, schedule="constant")
    out = Path(tempfile.gettempdir())

    def ours(step: int, rows: list[Any]) -> float:
        loss = update(trainee, [rows], step, pace, Lone(), out).loss
        assert loss is not None
        return loss

    model: Any = build(said)
    model.load_state_dict(
        first | {"lm_head.weight": first["model.embed_tokens.weight"]}, assign=True
    )
    model.tie_weights()
    model.train().requires_grad_(True)
    matrices = [each for each in model.parameters() if each.ndim > 1]
    gains = [each for each in model.parameters() if each.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))

    def theirs(step: int, rows: list[Any]) -> float:
        longest = max(len(row.ids) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = torch.tensor(list(row.ids))
            labels[place, : len(row.ids)] = torch.tensor(list(row.targets))
        padded = any(len(row.ids) < longest for row in rows)
        mask = torch.arange(longest) < torch.tensor([[len(row.ids)] for row in rows])
        adam.zero_grad(set_to_none=True)
        found = model(
            input_ids=ids, attention_mask=mask.long() if padded else None, use_cache=False
        )
        loss = torch.nn.functional.cross_entropy(found.logits.flatten(0, 1), labels.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        return float(loss.detach())

    return ours, theirs


def line(row: dict[str, Any]) -> str:
    """Return a row as text."""

    def shown(name: str, digits: int, scale: float = 1.0) -> str:
        low, high = (f"{scale * each:,.{digits}f}" for each in row[f"{name}_range"])
        return f"{scale * row[name]:,.{digits}f} ({low} to {high})"

    return (
        f"{row['size']:5} {row['what']:10} n = {row['n']}: {shown('tokens_per_s', 0)} tokens/s, "
        f"{shown('utilisation', 0, 100)} % of {max(row['peak_gflops']):.0f} GFLOP/s; "
        f"peer {shown('peer_tokens_per_s', 0)}, {shown('peer_utilisation', 0, 100)} %; "
        f"ratio {shown('ratio', 2)}, losses differ by {row['loss_difference']:.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
