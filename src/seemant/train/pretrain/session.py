"""A pretraining run from its text to its files: the order in which everything happens."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seemant.core.hashing import json_sha256
from seemant.core.machine import cores
from seemant.core.measurement import Measurement
from seemant.core.memory import give_back_heap, resident_bytes
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.kernel_cache import bound_caches
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.trainable import trainable_decoder
from seemant.models.tokenizer import Tokenizer
from seemant.train.determinism import bits_depend_on, deterministic
from seemant.train.fit import Fitted, Surroundings, fit
from seemant.train.objective import answers_only
from seemant.train.optim import make_optimiser
from seemant.train.pretrain.budget import Budget, budget_of
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.documents import Documents, read_documents
from seemant.train.pretrain.plan import peak_planned
from seemant.train.pretrain.recipe import KERNELS, order_of, train_config
from seemant.train.pretrain.results import measurements
from seemant.train.pretrain.save import save_pretrained
from seemant.train.pretrain.shape import hf_config
from seemant.train.pretrain.start import first_weights
from seemant.train.pretrain.vocabulary import bpe_metadata, byte_metadata, tokenizer_of
from seemant.train.pretrain.windows import Windows, first_tokens, windows_of
from seemant.train.student import LossSettings, Student

_BETAS = (0.9, 0.95)  # the second moment forgets faster than in fine-tuning: GPT-3, appendix B
FILL = 64  # few row counts, so that the matrix library compiles few kernels
_TIMED_STEPS = 3


@dataclass(frozen=True, slots=True)
class Text:
    """A text ready to be trained on."""

    documents: Documents
    tokenizer: Tokenizer
    train: Windows
    heldout: Windows


def pretrain_session(
    config: PretrainConfig,
    inputs: Inputs,
    out: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> list[Measurement]:
    """Train, fill `out` and return the measurements; see `run` for what it raises.

    stop: asked after every step; the run then ends with a checkpoint and a `WorldError`.
    """
    bound_caches(KERNELS)
    threads = config.threads or cores()
    with deterministic(config.seed, threads):
        text = read_text(config, inputs["text"].path, out)
        give_back_heap()  # learning a vocabulary needs many times the text's size for a moment
        said = hf_config(config, text.tokenizer)
        planned = peak_planned(config, said, resident_bytes())
        decoder = made(config, said)
        budget = budget_of(
            out,
            text.train,
            config,
            heldout_tokens=text.heldout.n_tokens,
            tokens_a_second=lambda: _speed(config, said, text.train),
        )
        log_event(out, "budget", steps=budget.steps, tokens=budget.tokens, epochs=budget.epochs)
        fitted = _trained(config, decoder, text, budget, inputs, out, threads, stop)
        name = config.subject or f"{config.family}-{config.size.lower()}-{config.vocabulary}"
        save_pretrained(
            out,
            _weights(decoder),
            said,
            text.tokenizer,
            name=name,
            languages=text.documents.languages,
            licence=config.licence,
        )
        return measurements(
            name,
            config,
            out,
            train=text.train,
            heldout=text.heldout,
            n_vocab=text.tokenizer.n_tokens,
            budget=budget,
            fitted=fitted,
            planned=planned,
            threads=threads,
        )


def read_text(config: PretrainConfig, path: Path, out: Path) -> Text:
    """Return the text as windows, its vocabulary learned from the training documents alone."""
    documents = read_documents(
        path,
        languages=config.languages,
        heldout_share=config.heldout_share,
        seed=config.seed,
        rejected=out / "rejected.jsonl",
    )
    if config.vocabulary == "byte":
        words = byte_metadata()
    else:
        words = bpe_metadata((each.text for each in documents.train), config.vocab_size)
    tokenizer = tokenizer_of(words)
    measured = first_tokens(documents.heldout, tokenizer, config.heldout_tokens)
    text = Text(
        documents,
        tokenizer,
        windows_of(documents.train, tokenizer, config.context),
        windows_of(measured, tokenizer, config.context),
    )
    log_event(
        out,
        "text",
        documents=len(documents.train),
        tokens=text.train.n_tokens,
        heldout_documents=len(measured),
        heldout_tokens=text.heldout.n_tokens,
        vocabulary=tokenizer.n_tokens,
        aside=dict(documents.aside),
    )
    return text


def made(config: PretrainConfig, said: Mapping[str, Any]) -> Decoder:
    """Return the untrained decoder of a `config.json`."""
    shape = shape_of_config(said)
    first = first_weights(shape, config.seed)
    decoder = trainable_decoder(shape, seed=config.seed, state=first, compute=config.compute)
    decoder.checkpointing = config.checkpointing
    return decoder


def optimiser_of(config: PretrainConfig, parameters: Any) -> torch.optim.Optimizer:
    """Return AdamW as pretraining uses it."""
    return make_optimiser(
        "adamw", parameters, lr=config.lr, weight_decay=config.weight_decay, betas=_BETAS
    )


def _trained(
    config: PretrainConfig,
    decoder: Decoder,
    text: Text,
    budget: Budget,
    inputs: Inputs,
    out: Path,
    threads: int,
    stop: Callable[[], bool],
) -> Fitted:
    around = Surroundings(
        belongs={
            "config": json_sha256(config.asked()),
            "text": inputs["text"].sha256,
            "steps": budget.steps,
        },
        machine=bits_depend_on(threads),
        optimiser=lambda parameters: optimiser_of(config, parameters),
        fill=FILL,
        stop=stop,
    )
    return fit(decoder, text.train, text.heldout, train_config(config, budget.steps), out, around)


def _weights(decoder: nn.Module) -> dict[str, torch.Tensor]:
    return dict(decoder.named_parameters())  # a tied head is the embedding, which comes once


def _speed(config: PretrainConfig, said: Mapping[str, Any], windows: Windows) -> float:
    """Return tokens a second of a few real steps, on a model that is then thrown away."""
    decoder = made(config, said)
    settings = LossSettings(vocab_block=config.vocab_block, z_loss=config.z_loss)
    objective = answers_only(Student(decoder, settings, FILL))
    optimiser = optimiser_of(config, decoder.parameters())
    order = order_of(windows, config)
    speeds = []
    for step in range(_TIMED_STEPS + 1):
        start, tokens = time.perf_counter(), 0
        for batch in order.step(step, config.micro_batches):
            rows = [windows[i] for i in batch]
            objective(rows).total.mean().backward()  # type: ignore[no-untyped-call]
            tokens += sum(len(row.ids) for row in rows)
        nn.utils.clip_grad_norm_(list(decoder.parameters()), config.clip or math.inf)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        speeds.append(tokens / (time.perf_counter() - start))
    return sorted(speeds[1:])[_TIMED_STEPS // 2]  # the first step compiles kernels
