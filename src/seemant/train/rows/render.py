"""A pair becomes a row: token ids, and at each position the id that it must learn to predict.

Where the answer begins is known from rendering, never searched for: the prompt is encoded, then
prompt and answer together, and the first must be a prefix of the second. The end-of-turn token
is part of the answer, so that the student learns to stop.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seemant.core.errors import InputError
from seemant.core.records import Lang, Pair
from seemant.models.prompts import STUDY_SYSTEM_PROMPTS, Template
from seemant.models.tokenizer import Tokenizer

IGNORED = -100  # PyTorch's customary label of a position without a target
PAIRS, REPLAY = "pairs", "replay"  # the two buckets that the stage itself makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A rendered pair.

    ids: prompt, answer, end of turn (T of them); `array`s of 4 bytes each, as there are many.
    targets: (T,) `targets[t]` is what position t predicts: `ids[t + 1]` where that belongs to the
        answer, else `IGNORED`. The shift is done here, once.
    n_prompt: ids of the prompt, BOS among them.
    retokenised: prompt and answer did not split cleanly when encoded together, so the answer was
        encoded alone: that is what the student sees when it answers.
    bucket: under which name its loss is reported. weight: what each of its targets counts.
    """

    key: str
    paragraph: str
    lang: Lang
    ids: Sequence[int]
    targets: Sequence[int]
    n_prompt: int
    retokenised: bool = False
    bucket: str = PAIRS
    weight: float = 1.0

    @property
    def n_answer(self) -> int:
        """How many targets the row has, the end-of-turn token among them."""
        return sum(target != IGNORED for target in self.targets)


@dataclass(frozen=True, slots=True)
class SystemPrompt:
    """A system prompt a language; `folded`: it opens the question, as the template has no role."""

    texts: Mapping[Lang, str]
    folded: bool


def study_prompt(template: Template) -> SystemPrompt:
    """Return the study's system prompt, folded into the question where the template lacks one."""
    return SystemPrompt(STUDY_SYSTEM_PROMPTS, folded=not template.knows_system())


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How pairs are written for a model, and how long a row may be.

    n_vocab: ids that the model has a row for. stops: ids at which its own files end a generation;
    none where they do not say.
    """

    template: Template
    tokenizer: Tokenizer
    n_vocab: int
    max_length: int
    on_long: Literal["reject", "cut-input"] = "reject"
    system: SystemPrompt | None = None
    bucket: str = PAIRS
    stops: frozenset[int] = frozenset()

    def row(self, pair: Pair) -> Row:
        """Return the pair as a row, however long it is."""
        return render(pair, self.template, self.tokenizer, system=self.system, bucket=self.bucket)


def render(
    pair: Pair,
    template: Template,
    tokenizer: Tokenizer,
    *,
    system: SystemPrompt | None = None,
    bucket: str = PAIRS,
) -> Row:
    """Return the pair as a row, however long it is."""
    prompt = _prompt(pair, template, system)
    answer = template.answer_prefix + pair.output.strip() + template.shape.gap
    end = end_of_turn_id(template, tokenizer)
    before = tokenizer.encode(prompt)
    together = tokenizer.encode(prompt + answer)
    clean = together[: len(before)] == before and len(together) > len(before)
    ids = together if clean else before + tokenizer.encode(answer, add_bos=False)
    ids = [*ids, end]
    return Row(
        key=pair.key,
        paragraph=pair.paragraph_id or pair.key,
        lang=pair.lang,
        ids=array("i", ids),
        targets=targets_of(ids, len(before)),
        n_prompt=len(before),
        retokenised=not clean,
        bucket=bucket,
    )


def targets_of(ids: Sequence[int], n_prompt: int) -> Sequence[int]:
    """Return the shifted targets of a row whose first `n_prompt` ids are the prompt."""
    silent = [IGNORED] * (n_prompt - 1)
    return array("i", (*silent, *ids[n_prompt:], IGNORED))


def end_of_turn_id(template: Template, tokenizer: Tokenizer) -> int:
    """Return the id of the template's end-of-turn piece.

    Raises:
        InputError: the tokenizer does not know it as one token, so it could never be learned.
    """
    ids = tokenizer.encode(template.end_of_turn, add_bos=False) if template.end_of_turn else []
    if len(ids) != 1:
        raise InputError(
            f"the end-of-turn piece {template.end_of_turn!r} is {len(ids)} tokens, not one",
            where=f"the model's {template.name} template",
            fix="use a model whose tokenizer and template belong together",
        )
    return ids[0]


def _prompt(pair: Pair, template: Template, system: SystemPrompt | None) -> str:
    if system is None:
        return template.render(pair.instruction, pair.lang, input=pair.input)
    text = system.texts[pair.lang]
    if system.folded:
        return template.render(f"{text}\n\n{pair.instruction}", pair.lang, input=pair.input)
    return template.render(pair.instruction, pair.lang, input=pair.input, system=text)
