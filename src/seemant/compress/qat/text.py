"""The text that is learned on: equal sequences of tokens, as many of each language."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seemant.compress.calibrate.tokens import read_text, sequences_of
from seemant.core.errors import BadRecord
from seemant.core.records import Lang
from seemant.core.seeds import rng
from seemant.models.tokenizer import Tokenizer

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences of `length` ids to train on, and others of each language to look at."""

    train: tuple[Ids, ...]
    heldout: Mapping[Lang, tuple[Ids, ...]]


def training_text(
    path: Path,
    tokenizer: Tokenizer,
    *,
    languages: Sequence[Lang] | None,
    length: int,
    tokens: int,
    n_heldout: int,
    seed: int,
    rejected: Path | None = None,
) -> Sequences:
    """Return sequences of calibration text (`calibrate.tokens`), languages in turns.

    Of each language the first `n_heldout` are looked at only, and at most tokens / languages are
    trained on. A language of fewer sequences comes round again until all have as many.

    Raises:
        BadFile, BadRecord: a language is missing, or too short to train on.
    """
    text = read_text(path, rejected=rejected)
    wanted = languages or text.languages
    most = max(1, tokens // len(wanted) // length)
    found = sequences_of(
        text, tokenizer, wanted, tokens=(most + n_heldout) * length, length=length, seed=seed
    )
    heldout: dict[Lang, tuple[Ids, ...]] = {}
    train: list[tuple[Ids, ...]] = []
    for lang, listed in found.items():
        whole = [tuple(ids) for ids in listed if len(ids) == length]
        if len(whole) <= n_heldout:
            raise BadRecord(
                f"text in {lang!r} for {len(whole)} sequences of {length} tokens, and "
                f"{n_heldout} of them are held out",
                where=str(path),
                fix=f"give more {lang} text, shorter sequences, or other languages",
            )
        heldout[lang] = tuple(whole[:n_heldout])
        train.append(tuple(whole[n_heldout:]))
    return Sequences(tuple(ids for turn in _in_turns(train) for ids in turn), heldout)


def batch_at(n: int, size: int, step: int, seed: int) -> list[int]:
    """Return the sequences of a step: `size` of n indices, every one once an epoch, shuffled."""
    found = []
    for at in range(step * size, (step + 1) * size):
        order = rng(seed, "qat-order", at // n).permutation(n)
        found.append(int(order[at % n]))
    return found


def _in_turns(parts: Sequence[Sequence[Ids]]) -> Iterator[list[Ids]]:
    for i in range(max(len(part) for part in parts)):
        yield [part[i % len(part)] for part in parts]
