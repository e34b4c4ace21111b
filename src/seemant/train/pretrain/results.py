"""What a finished pretraining reports: bits per byte, losses, speed, memory."""

from pathlib import Path

from seemant.core.measurement import Measurement, exact, of_interval
from seemant.core.runlog import read_events
from seemant.train.fit import Fitted
from seemant.train.measure import Conditions, costs, heldout_loss, train_loss
from seemant.train.memory.plan import Plan, predicted
from seemant.train.pretrain.bits import bits_per_byte, bytes_a_token, unigram_nats
from seemant.train.pretrain.budget import Budget
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.flops import peak_flops, training_flops
from seemant.train.pretrain.windows import Windows

_NO_INTERVAL = "none: one run"


def measurements(
    subject: str,
    config: PretrainConfig,
    out: Path,
    *,
    train: Windows,
    heldout: Windows,
    n_vocab: int,
    budget: Budget,
    fitted: Fitted,
    planned: Plan,
    threads: int,
) -> list[Measurement]:
    """Return everything that was measured; the speed of the machine's own product is, just now."""
    progress = fitted.progress
    given: dict[str, str | int | float | bool | None] = {"compute": config.compute}
    if not progress.bit_exact:
        given["bit_exact"] = False
    found = []
    if len(heldout):
        unigram = unigram_nats(train, heldout, n_vocab)
        for metric, nats in (
            ("bits_per_byte", progress.now),
            ("bits_per_byte_unigram", unigram.tolist()),
        ):
            for lang, interval in bits_per_byte(nats, heldout).items():
                found.append(of_interval(subject, metric, lang, interval, given, "bits/byte"))
        found += heldout_loss(subject, heldout, progress, given)
    for lang, value in bytes_a_token(train).items():
        found.append(exact(subject, "bytes_a_token", value, "bytes/token", lang=lang))
    n_parameters = sum(each.numel() for each in fitted.parameters.values())
    return [
        *found,
        *train_loss(subject, progress.history, given),
        exact(subject, "parameters", n_parameters, "count"),
        exact(subject, "tokens_trained", _tokens(fitted), "tokens"),
        exact(subject, "epochs", budget.epochs, "epochs"),
        exact(subject, "vocabulary", n_vocab, "tokens"),
        predicted(subject, planned),
        *costs(subject, out, given | {"threads": threads}),
        *_utilisation(subject, config, out, train, n_vocab, given | {"threads": threads}),
    ]


def _tokens(fitted: Fitted) -> int:
    return sum(line.tokens for line in fitted.progress.history)


def _utilisation(
    subject: str,
    config: PretrainConfig,
    out: Path,
    train: Windows,
    n_vocab: int,
    given: Conditions,
) -> list[Measurement]:
    """Return the share of the machine's arithmetic that the steps used, from the run's log."""
    steps = {event["step"]: event for event in read_events(out, "step")}
    seconds = sum(float(event["seconds"]) for event in steps.values())
    if not seconds:
        return []
    tokens = sum(int(event["tokens"]) for event in steps.values())
    # Every epoch holds every window, so a token's mean work is that of the whole text.
    whole = training_flops(config, n_vocab, train.lengths.tolist())
    rate = whole / train.n_tokens * tokens / seconds
    peak = peak_flops(config.compute)
    return [
        Measurement(
            subject=subject,
            metric=metric,
            value=value,
            unit=unit,
            ci_method=_NO_INTERVAL,
            n=len(steps),
            conditions={**given, "micro_batches": config.micro_batches},
        )
        for metric, value, unit in (
            ("useful_flops", rate / 1e9, "GFLOP/s"),
            ("peak_flops", peak / 1e9, "GFLOP/s"),
            ("flop_utilisation", rate / peak, "share"),
        )
    ]
