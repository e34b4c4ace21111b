"""What a language costs this tokenizer: tokens a word, and pieces that are no whole letter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from seemant.core.records import Lang
from seemant.models.tokenizer import Tokenizer
from seemant.train.rows.render import Row

DEAR = 8.0  # tokens a word from which a note is made; English has about 1.3, SmolLM2's Kannada 20
_BROKEN = "\ufffd"  # what a piece that is no whole letter decodes to


@dataclass(frozen=True, slots=True)
class Spelling:
    """Of one language's answers: words, their tokens, and those that are less than a letter."""

    n_words: int
    n_tokens: int
    n_bytes: int

    @property
    def tokens_a_word(self) -> float:
        """How many tokens a word takes."""
        return self.n_tokens / max(1, self.n_words)

    @property
    def byte_share(self) -> float:
        """Share of tokens that are parts of a letter's bytes."""
        return self.n_bytes / max(1, self.n_tokens)


def spelling(rows: Sequence[Row], tokenizer: Tokenizer) -> dict[Lang, Spelling]:
    """Return what the answers of each language cost, languages in order."""

    @cache
    def is_part(token: int) -> bool:
        return _BROKEN in tokenizer.decode([token])

    found: dict[Lang, Spelling] = {}
    for lang in sorted({row.lang for row in rows}):
        answers = [row.ids[row.n_prompt : -1] for row in rows if row.lang == lang]
        found[lang] = Spelling(
            n_words=sum(len(tokenizer.decode(ids).split()) for ids in answers),
            n_tokens=sum(map(len, answers)),
            n_bytes=sum(is_part(token) for ids in answers for token in ids),
        )
    return found


def notes(found: dict[Lang, Spelling]) -> list[str]:
    """Return a sentence for every language that this tokenizer makes dear."""
    return [
        f"{lang}: {each.tokens_a_word:.1f} tokens a word ({each.byte_share:.0%} of them parts of "
        "a letter); its answers are long and hard to learn for this model"
        for lang, each in found.items()
        if each.tokens_a_word > DEAR
    ]
