"""A teacher's token probabilities in files, found again by the pair and its answer.

A row of a student finds its targets by the pair's key *and* a hash of the answer's token ids,
never by its place in a file or a batch: pairs may be left out, cut, reordered or repeated.

    targets_0001.safetensors   ids (N, k) int32, logp (N, k) float16, tail (N,) float32: rows of
                               answers, one after another
    index.jsonl                which answer lies where
    teacher.json               who said it: model, template, tokenizer hash, k, temperature

A float16 ln p is off by at most 2^-11 of itself. The tail's ln p_R is small where it matters and
so is kept in float32.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from seemant.core.atomic import write_atomic
from seemant.core.errors import BadFile, InputError
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json, read_records
from seemant.core.records import Record
from seemant.models.tokenizer import Tokenizer
from seemant.train.loss.topk import TopK
from seemant.train.rows.render import Row

INDEX_NAME, TEACHER_NAME = "index.jsonl", "teacher.json"


class Place(Record):
    """Where an answer's targets lie: `n` rows from row `start` of shard `shard`."""

    key: str
    answer: str
    shard: int
    start: int
    n: int


class Teacher(Record):
    """Who said the probabilities, and how. n_vocab: rows of its head.

    study_prompt: whether the study's system prompt stood before the questions; None: not noted.
    """

    model: str
    sha256: str
    template: str
    tokenizer: str
    n_vocab: int
    k: int
    temperature: float
    study_prompt: bool | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored targets, opened: nothing of them is in memory but the index."""

    folder: Path
    teacher: Teacher
    places: dict[tuple[str, str], Place]

    def covers(self, row: Row) -> bool:
        """Return whether the teacher saw this pair with this answer."""
        return (row.key, answer_hash(row)) in self.places

    def of(self, row: Row) -> TopK | None:
        """Return what the teacher said at each target of a row; None if it never saw the pair."""
        place = self.places.get((row.key, answer_hash(row)))
        if place is None:
            return None
        from safetensors import safe_open

        part = slice(place.start, place.start + place.n)
        with safe_open(self.folder / shard_name(place.shard), framework="pt") as file:
            ids, logp, tail = (file.get_slice(name)[part] for name in ("ids", "logp", "tail"))
        return TopK(ids.long(), logp.float(), tail)


def open_stored(folder: Path, tokenizer: Tokenizer, temperature: float) -> Stored:
    """Return the targets in an artefact's folder, for a student with this tokenizer.

    Raises:
        BadFile: the folder holds no targets.
        InputError: the teacher's tokens are not the student's, or another temperature.
    """
    if not (folder / TEACHER_NAME).is_file():
        raise BadFile(
            "no stored targets here",
            where=str(folder),
            fix="make them: seemant targets MODEL PAIRS",
        )
    teacher = Teacher.model_validate(read_json(folder / TEACHER_NAME))
    if teacher.tokenizer != tokenizer_hash(tokenizer):
        raise InputError(
            "teacher and student do not share a vocabulary, so token probabilities mean nothing",
            where=f"{folder / TEACHER_NAME}: {teacher.model}",
            fix="take a teacher of the student's family, or let it write answers: seemant distill",
        )
    if teacher.temperature != temperature:
        raise InputError(
            f"the targets were stored at temperature {teacher.temperature:g}, not {temperature:g}",
            where=str(folder),
            fix=f"set --kd-temperature {teacher.temperature:g}, or make them again",
        )
    places = read_records(folder / INDEX_NAME, Place)
    return Stored(folder, teacher, {(place.key, place.answer): place for place in places})


def write_shard(folder: Path, number: int, parts: Sequence[TopK]) -> None:
    """Write the targets of some answers, one after another, whole or not at all."""
    from safetensors.torch import save

    write_atomic(
        folder / shard_name(number),
        save(
            {
                "ids": torch.cat([part.ids for part in parts]).to(torch.int32),
                "logp": torch.cat([part.logp for part in parts]).to(torch.float16),
                "tail": torch.cat([part.tail for part in parts]).to(torch.float32),
            }
        ),
    )


def places_of(shard: int, rows: Iterable[Row]) -> list[Place]:
    """Return where the answers of a shard's rows lie."""
    found, start = [], 0
    for row in rows:
        n = row.n_answer
        found.append(Place(key=row.key, answer=answer_hash(row), shard=shard, start=start, n=n))
        start += n
    return found


def shard_name(number: int) -> str:
    """Return the name of a shard's file."""
    return f"targets_{number:04d}.safetensors"


def answer_hash(row: Row) -> str:
    """Return 16 hexadecimal digits of the answer's token ids, its end-of-turn token included."""
    return json_sha256(list(row.ids[row.n_prompt :]))[:16]


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """Return 16 hexadecimal digits of which id means which piece.

    Only that: how texts are cut into pieces shows in the answers' hashes, pair by pair.
    """
    return json_sha256(tokenizer.inner.get_vocab(with_added_tokens=True))[:16]


def stacked(parts: Sequence[TopK]) -> TopK:
    """Return several answers' targets as one."""
    names = ("ids", "logp", "tail")
    tensors: list[Tensor] = [torch.cat([getattr(part, name) for part in parts]) for name in names]
    return TopK(*tensors)
