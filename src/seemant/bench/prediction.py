"""Memory on other devices: the one thing that is predicted, with how far off it was here.

peak = file + cache(context) + logits(block) + r, where r is what the runtime itself takes: the
median, over the other models measured here, of what was left after the rest. Its error is the
largest relative miss when each model is predicted from the others. Speed is not predicted at all:
nothing measured on this machine says how fast another one is.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from seemant.bench.subjects import Subject
from seemant.core.measurement import Measurement
from seemant.models.backends.llama_blocks import BLOCK

MODEL = "file + half-precision cache + a block's logits + the runtime's median on this machine"
_FEWEST = 3  # models: with fewer, leaving one out leaves nothing to check


def known_bytes(subject: Subject, context: int) -> int:
    """Return what a model takes by its own figures: file, cache, a block of float32 logits."""
    logits = 4 * BLOCK * subject.n_vocab
    return subject.file_bytes + context * subject.kv_bytes_per_token + logits


def predictions(
    subjects: Sequence[Subject], peaks: Mapping[str, float], context: int
) -> list[Measurement]:
    """Return each model's predicted peak, from the others; none where fewer than 3 were measured.

    peaks: measured peak resident bytes by subject name.
    """
    if len(subjects) < _FEWEST:
        return []
    known = {s.name: known_bytes(s, context) for s in subjects}
    left = {name: peaks[name] - bytes_ for name, bytes_ in known.items()}
    predicted = {
        name: known[name] + median(rest for other, rest in left.items() if other != name)
        for name in known
    }
    worst = max(abs(predicted[name] - peaks[name]) / predicted[name] for name in known)
    return [
        Measurement(
            subject=subject.name,
            metric="peak_rss",
            value=predicted[subject.name],
            unit="bytes",
            ci_low=predicted[subject.name] * (1 - worst),
            ci_high=predicted[subject.name] * (1 + worst),
            ci_method=f"largest of {len(subjects)} leave-one-out misses here: {100 * worst:.0f} %",
            n=len(subjects),
            origin="predicted",
            device="any, llama.cpp on the CPU",
            conditions={"context": context, "model": MODEL},
            source="seemant.bench.prediction",
        )
        for subject in subjects
    ]
