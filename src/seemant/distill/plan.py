"""Which pairs are asked for, and what each attempt at one of them asks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seemant.core.records import Lang, Paragraph
from seemant.core.seeds import derive_seed
from seemant.distill.config import DistillConfig
from seemant.distill.passages import passages
from seemant.distill.tasks import Form, Task
from seemant.distill.verdict import is_done

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one pair: the `pair`-th of a paragraph."""

    paragraph: Paragraph
    pair: int

    @property
    def key(self) -> Key:
        """The slot's identity in the journal."""
        return self.paragraph.id, self.pair


def slots_of(paragraphs: Iterable[Paragraph], config: DistillConfig) -> list[Slot]:
    """Return the slots to fill, in paragraph order: wanted languages, up to the limit, ids once."""
    taken: Counter[Lang] = Counter()
    seen: set[str] = set()
    slots: list[Slot] = []
    for paragraph in paragraphs:
        full = config.limit is not None and taken[paragraph.lang] >= config.limit
        if paragraph.lang not in config.languages or paragraph.id in seen or full:
            continue
        seen.add(paragraph.id)
        taken[paragraph.lang] += 1
        slots += [Slot(paragraph, pair) for pair in range(config.pairs_per_paragraph)]
    return slots


def first_attempts(
    slots: Sequence[Slot], entries: Iterable[Mapping[str, Any]], config: DistillConfig
) -> list[tuple[Slot, int]]:
    """Return the slots still open after a journal's entries, each with its next attempt.

    By language, as a worker keeps one language's examples in its cache; then paragraph order.
    """
    done: dict[Key, int] = {}
    kept: set[Key] = set()
    for entry in entries:
        key = (str(entry["paragraph_id"]), int(entry["pair"]))
        done[key] = max(done.get(key, 0), int(entry["attempt"]) + 1)
        if is_done(entry):
            kept.add(key)
    left = [
        (slot, done.get(slot.key, 0))
        for slot in slots
        if slot.key not in kept and done.get(slot.key, 0) < config.attempts
    ]
    order = {lang: at for at, lang in enumerate(config.languages)}
    return sorted(left, key=lambda item: order[item[0].paragraph.lang])


def task_of(slot: Slot, attempt: int, form: Form, config: DistillConfig) -> Task:
    """Return the question of one attempt; no two of a paragraph are the same.

    A server reads the whole paragraph. A base model reads one sentence: further attempts take the
    next sentence, and after the last one the next kind of question.
    """
    paragraph = slot.paragraph
    text, rank = paragraph.text, 0
    temperature = config.temperature
    if form == "completion":
        choices = passages(paragraph.text)
        rank, at = divmod(slot.pair + attempt * config.pairs_per_paragraph, len(choices))
        text = choices[at]
    elif attempt or slot.pair:
        temperature = config.retry_temperature
    return Task(
        paragraph_id=paragraph.id,
        pair=slot.pair,
        attempt=attempt,
        lang=paragraph.lang,
        paragraph=paragraph.text,
        text=text,
        rank=rank,
        temperature=temperature,
        max_new_tokens=config.max_new_tokens if form == "completion" else config.server_tokens,
        seed=derive_seed(config.seed, "distill", paragraph.id, slot.pair, attempt),
    )
