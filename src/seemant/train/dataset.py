"""From the inputs to rows: pairs read, cleaned, checked, split; replay beside them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seemant.core.errors import InputError
from seemant.core.jsonl import read_records, write_records
from seemant.core.records import Lang, Pair
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs
from seemant.models.resolve import languages_of
from seemant.train.check import Checked, SetAside, check, none_left
from seemant.train.config import TrainConfig
from seemant.train.noise import without_noise
from seemant.train.render import REPLAY, Form, Row
from seemant.train.spelling import Spelling, notes, spelling
from seemant.train.split import hold_out

PAIRS_NAME = "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class Data:
    """What a run trains on and measures with; replay rows stand behind the others.

    rows, heldout: with replay. checked: the pairs' own. spelling: what answers cost, by language.
    """

    rows: list[Row]
    heldout: list[Row]
    checked: Checked
    spelling: dict[Lang, Spelling]
    notes: list[str]

    def facts(self) -> list[list[object]]:
        """Return what the rows are, for a hash: their order, ids and where answers begin."""
        return [[row.bucket, list(row.ids), row.n_prompt] for row in (*self.rows, *self.heldout)]


def read_data(config: TrainConfig, inputs: Inputs, form: Form, out: Path, *, write: bool) -> Data:
    """Return the data of a run; `write`: leave `set_aside.jsonl` and `rejected.jsonl` in `out`.

    Raises:
        BadRecord: no pair is left to train on.
        InputError: labels are wrong, or replay is asked for without its pairs.
    """
    languages = config.languages or languages_of(inputs["model"].label)
    checked = _checked(config, inputs["pairs"].path, form, languages, out if write else None)
    rows, heldout = hold_out(checked.rows, config.heldout_share, config.seed)
    if config.replay:
        if "replay" not in inputs:
            raise InputError(
                "replay is asked for, but no pairs to replay are given",
                where=f"replay = {config.replay:g}",
                fix="name the pairs: --replay-pairs FILE (in a study: the input `replay`)",
            )
        again = _replayed(config, inputs["replay"].path, form, languages)
        more, held = hold_out(again.rows, config.heldout_share, config.seed)
        rows, heldout = rows + more, heldout + held
    spelled = spelling(checked.rows, form.tokenizer)
    if write:
        write_records(out / "set_aside.jsonl", checked.aside)
        counts = Counter(row.bucket for row in rows)
        log_event(out, "checked", rows=dict(counts), heldout=len(heldout), aside=checked.reasons())
    return Data(rows, heldout, checked, spelled, notes(spelled))


def pairs_file(path: Path) -> Path:
    """Return the file of pairs that a path means: a distill artefact's, or itself."""
    return path / PAIRS_NAME if path.is_dir() else path


def _checked(
    config: TrainConfig, path: Path, form: Form, languages: Sequence[Lang], out: Path | None
) -> Checked:
    file = pairs_file(path)
    pairs = read_records(file, Pair, rejected=out / "rejected.jsonl" if out else None)
    kept, noisy = without_noise(pairs, checked_only=config.checked_only, max_news=config.max_news)
    if not kept:
        raise none_left(noisy, str(file))
    found = check(kept, form, languages=languages, where=str(file))
    aside: list[SetAside] = [*noisy, *found.aside]
    return replace(found, aside=aside)


def _replayed(config: TrainConfig, path: Path, form: Form, languages: Sequence[Lang]) -> Checked:
    # What is replayed is the base's own ground: its language need not be one that is trained on.
    pairs = read_records(pairs_file(path), Pair)
    every = tuple({*languages, *(pair.lang for pair in pairs)})
    return check(pairs, replace(form, bucket=REPLAY), languages=every, where=str(path))
