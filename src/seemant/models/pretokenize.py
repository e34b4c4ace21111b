"""A way of cutting text into words before byte-pair merges; `cuts.py` says which there are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer


@dataclass(frozen=True, slots=True)
class Cut:
    """Expressions, each applied to what the last one left; what lies between matches is a word.

    `whole_words_first`: a word that is itself a token is taken whole, merges unseen. `adds_bos`:
    what a file that is silent about it means. `spaces_as_letters`: text is not written in bytes'
    letters, its spaces become `▁` (byte-pair merges in SentencePiece's look).
    """

    expressions: tuple[str, ...]
    whole_words_first: bool = False
    adds_bos: bool = False
    spaces_as_letters: bool = False

    def build(self) -> "PreTokenizer":
        """Return it as a pre-tokenizer of the `tokenizers` library."""
        from tokenizers import Regex, pre_tokenizers

        splits: list[PreTokenizer] = [
            pre_tokenizers.Split(Regex(each), "isolated") for each in self.expressions
        ]
        if not self.spaces_as_letters:
            splits.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
        return pre_tokenizers.Sequence(splits)
