"""From the inputs to rows: pairs read, cleaned, checked, split; replay beside them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seemant.core.errors import BadRecord, InputError
from seemant.core.jsonl import write_records
from seemant.core.records import LANGUAGES, Lang
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs
from seemant.corpus.pairs import read_pairs
from seemant.models.resolve import languages_of
from seemant.train.config import TrainConfig
from seemant.train.rows.check import Checked, SetAside, check, none_left
from seemant.train.rows.noise import without_noise
from seemant.train.rows.render import REPLAY, Form, Row
from seemant.train.rows.spelling import Spelling, notes, spelling
from seemant.train.rows.split import hold_out

PAIRS_NAME = "pairs.jsonl"
DROPPED_NAME = "dropped.jsonl"  # of a distill artefact: what failed the checks, with why


@dataclass(frozen=True, slots=True)
class Data:
    """What a run trains on and measures with; replay rows stand behind the others.

    rows, heldout: with replay. checked: the pairs' own. spelling: what answers cost, by language.
    replay_dropped: rows that were not replayed, as they are held out.
    """

    rows: list[Row]
    heldout: list[Row]
    checked: Checked
    spelling: dict[Lang, Spelling]
    notes: list[str]
    replay_dropped: int = 0

    @property
    def languages(self) -> list[Lang]:
        """The languages that are trained on; what is only replayed is not among them."""
        own = {row.lang for row in self.rows if row.bucket != REPLAY}
        return [lang for lang in LANGUAGES if lang in own]

    def facts(self) -> list[list[object]]:
        """Return what the rows are, for a hash: their order, ids and where answers begin."""
        return [[row.bucket, list(row.ids), row.n_prompt] for row in (*self.rows, *self.heldout)]


def read_data(config: TrainConfig, inputs: Inputs, form: Form, out: Path, *, write: bool) -> Data:
    """Return the data of a run; `write`: leave `set_aside.jsonl` and `rejected.jsonl` in `out`.

    Raises:
        BadRecord: no pair is left to train on.
        InputError: labels are wrong, no row is left to replay, or a setting needs held-out pairs.
    """
    languages = config.languages or languages_of(inputs["model"].label)
    checked = _checked(config, inputs["pairs"].path, form, languages, out if write else None)
    rows, heldout = hold_out(checked.rows, config.heldout_share, config.seed)
    dropped = 0
    if config.replay:
        again = _replayed(config, inputs["replay"].path, form, languages).rows
        apart = _apart(again, heldout)
        if not apart:
            raise InputError(
                "every pair that is to be replayed is held out",
                where=str(inputs["replay"].path),
                fix="replay other pairs than those that are trained on, or lower --heldout-share",
            )
        dropped = len(again) - len(apart)
        more, held = hold_out(apart, config.heldout_share, config.seed)
        rows, heldout = rows + more, heldout + held
    _check_heldout(config, heldout)
    spelled = spelling(checked.rows, form.tokenizer)
    if write:
        write_records(out / "set_aside.jsonl", checked.aside)
        counts = Counter(row.bucket for row in rows)
        log_event(out, "checked", rows=dict(counts), heldout=len(heldout), aside=checked.reasons())
    told = notes(spelled)
    if dropped:
        told.append(f"{dropped} pairs are not replayed, as they or their paragraphs are held out")
    return Data(rows, heldout, checked, spelled, told, dropped)


def pairs_file(path: Path) -> Path:
    """Return the file of pairs that a path means: a distill artefact's, or itself.

    Raises:
        BadRecord: an artefact without a pair: the teacher wrote none that passed the checks.
    """
    if not path.is_dir():
        return path
    pairs = path / PAIRS_NAME
    if pairs.is_file() and not pairs.stat().st_size:
        raise BadRecord(
            "the teacher wrote no pair that passed the checks, so there is nothing to learn",
            where=str(pairs),
            fix="give it more paragraphs (a study: --set paragraphs=60) or name a larger teacher; "
            f"{path / DROPPED_NAME} says what was wrong with each",
        )
    return pairs


def _apart(rows: Sequence[Row], heldout: Sequence[Row]) -> list[Row]:
    """Return the rows that neither are held-out pairs nor share a paragraph with one."""
    keys = {row.key for row in heldout}
    paragraphs = {(row.lang, row.paragraph) for row in heldout}
    return [r for r in rows if r.key not in keys and (r.lang, r.paragraph) not in paragraphs]


def _check_heldout(config: TrainConfig, heldout: Sequence[Row]) -> None:
    for asked, name in (
        (config.keep == "best-loss", "keep best-loss"),
        (config.kl_stop is not None, "kl_stop"),
    ):
        if asked and not heldout:
            raise InputError(
                f"{name} is measured on held-out pairs, and none is held out of this data",
                where=f"--heldout-share {config.heldout_share:g}",
                fix="give two paragraphs or more in a language, and --heldout-share above 0",
            )


def _checked(
    config: TrainConfig, path: Path, form: Form, languages: Sequence[Lang], out: Path | None
) -> Checked:
    file = pairs_file(path)
    rejected = out / "rejected.jsonl" if out else None  # rank 0 alone has a place to write
    pairs = read_pairs(file, rejected=rejected, tolerant=out is None)
    kept, noisy = without_noise(pairs, checked_only=config.checked_only, max_news=config.max_news)
    if not kept:
        raise none_left(noisy, str(file))
    found = check(kept, form, languages=languages, where=str(file))
    aside: list[SetAside] = [*noisy, *found.aside]
    return replace(found, aside=aside)


def _replayed(config: TrainConfig, path: Path, form: Form, languages: Sequence[Lang]) -> Checked:
    # What is replayed is the base's own ground: its language need not be one that is trained on.
    pairs = read_pairs(pairs_file(path))
    every = tuple({*languages, *(pair.lang for pair in pairs)})
    return check(pairs, replace(form, bucket=REPLAY), languages=every, where=str(path))
