"""A pair becomes a row: token ids, and at each position the id that it must learn to predict.

Where the answer begins is known from rendering, never searched for: the prompt is encoded, then
prompt and answer together, and the first must be a prefix of the second. The end-of-turn token
is part of the answer, so that the student learns to stop.
"""

from dataclasses import dataclass

from seemant.core.errors import InputError
from seemant.core.records import Lang, Pair
from seemant.models.prompts import Template
from seemant.models.tokenizer import Tokenizer

IGNORED = -100  # PyTorch's customary label of a position without a target


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A rendered pair.

    ids: prompt, answer, end of turn (T of them).
    targets: (T,) `targets[t]` is what position t predicts: `ids[t + 1]` where that belongs to the
        answer, else `IGNORED`. The shift is done here, once.
    n_prompt: ids of the prompt, BOS among them.
    retokenised: prompt and answer did not split cleanly when encoded together, so the answer was
        encoded alone: that is what the student sees when it answers.
    """

    key: str
    paragraph: str
    lang: Lang
    ids: tuple[int, ...]
    targets: tuple[int, ...]
    n_prompt: int
    retokenised: bool = False

    @property
    def n_answer(self) -> int:
        """How many targets the row has, the end-of-turn token among them."""
        return sum(target != IGNORED for target in self.targets)


def render(pair: Pair, template: Template, tokenizer: Tokenizer) -> Row:
    """Return the pair as a row, however long it is."""
    prompt = template.render(pair.instruction, pair.lang, input=pair.input)
    answer = template.answer_prefix + pair.output.strip()
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
        ids=tuple(ids),
        targets=targets_of(ids, len(before)),
        n_prompt=len(before),
        retokenised=not clean,
    )


def targets_of(ids: list[int], n_prompt: int) -> tuple[int, ...]:
    """Return the shifted targets of a row whose first `n_prompt` ids are the prompt."""
    silent = [IGNORED] * (n_prompt - 1)
    return (*silent, *ids[n_prompt:], IGNORED)


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
