"""A teacher reads rows and says its best tokens at every target: shards of work that resume."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from seemant.core.hashing import file_sha256, json_sha256
from seemant.core.journal import Journal
from seemant.models.decoder.decoder import Decoder
from seemant.train.heldout import by_row, by_tokens
from seemant.train.loss.stream import Reading
from seemant.train.loss.topk import TopK, streamed_topk
from seemant.train.rows.render import IGNORED, Row
from seemant.train.student import flat
from seemant.train.teacher.stored import answer_hash, shard_name, stacked, write_shard

JOURNAL_NAME = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Said:
    """Sums over each row's targets: -ln p of the answer's own tokens, and the mass p_R."""

    nats: list[float]
    tail: list[float]


def ask_teacher(decoder: Decoder, rows: Sequence[Row], k: int, how: Reading) -> TopK:
    """Return the teacher's word on every target of some rows, read together, row after row."""
    ids, targets, lengths = flat(rows, fill=16)
    device = decoder.head_weight.device
    at = torch.nonzero(targets != IGNORED).squeeze(1)
    with torch.no_grad():
        h = decoder(ids.to(device), lengths).index_select(0, at.to(device))
    return streamed_topk(h, targets[at].to(device), decoder.head_weight, k, how)


def store_all(
    decoder: Decoder,
    shards: Sequence[Sequence[Row]],
    k: int,
    tokens: int,
    how: Reading,
    out: Path,
    tick: Callable[..., None] = lambda *_, **__: None,
) -> list[Said]:
    """Write every shard that is not there yet; return the sums of all, in order.

    A shard is written whole, then named in the journal with its hash and that of its rows. One
    that is damaged or belongs to other rows is made again.
    """
    with Journal(out / JOURNAL_NAME) as journal:
        done = {entry["shard"]: entry for entry in journal.entries}
        said = []
        for number, rows in enumerate(shards, start=1):
            asked = json_sha256([[row.key, answer_hash(row), list(row.ids)] for row in rows])
            entry = done.get(number)
            if entry is None or entry["rows"] != asked or not _whole(out, number, entry["sha256"]):
                parts = [ask_teacher(decoder, some, k, how) for some in by_tokens(rows, tokens)]
                write_shard(out, number, parts)
                whole = stacked(parts)
                entry = {
                    "shard": number,
                    "rows": asked,
                    "sha256": file_sha256(out / shard_name(number)),
                    "nats": by_row(-whole.logp[:, 0], rows),
                    "tail": by_row(whole.tail.exp(), rows),
                }
                journal.append(entry)
            said.append(Said(entry["nats"], entry["tail"]))
            tick(len(rows))
    return said


def _whole(out: Path, number: int, sha256: str) -> bool:
    path = out / shard_name(number)
    return path.is_file() and file_sha256(path) == sha256
