"""How byte-level BPE cuts text into words before merging, by the name a GGUF file gives.

The expressions are those of llama.cpp's `llm_tokenizer_bpe` (src/llama-vocab.cpp), written for
the `tokenizers` library. A name that is not listed is refused: a wrong cut gives other ids
without an error.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seemant.core.errors import BadFile, nearest

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_MODERN = (
    _ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The one cut that keeps combining marks (vowel signs, viramas) with their letters; the others
# take क्या apart at its virama and its vowel sign.
_MARKS = (
    _ENDINGS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class PreTokenizerSpec:
    """One cut: single digits apart first, then an expression whose matches are the words.

    `whole_words_first`: a word that is itself a token is taken whole, merges unseen.
    """

    expression: str
    digits_apart: bool = False
    whole_words_first: bool = False

    def build(self) -> "PreTokenizer":
        """Return it as a pre-tokenizer of the `tokenizers` library."""
        from tokenizers import Regex, pre_tokenizers

        cuts = ([r"\p{N}"] if self.digits_apart else []) + [self.expression]
        return pre_tokenizers.Sequence(
            [
                *(pre_tokenizers.Split(Regex(cut), "isolated") for cut in cuts),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )


_DIGITS_THEN_GPT2 = PreTokenizerSpec(_GPT2, digits_apart=True)
SPECS = {
    "gpt-2": PreTokenizerSpec(_GPT2),
    "smollm": _DIGITS_THEN_GPT2,
    "starcoder": _DIGITS_THEN_GPT2,
    "refact": _DIGITS_THEN_GPT2,
    "command-r": _DIGITS_THEN_GPT2,
    "qwen2": PreTokenizerSpec(_MODERN % 1),
    "qwen35": PreTokenizerSpec(_MARKS),
    "llama-bpe": PreTokenizerSpec(_MODERN % 3, whole_words_first=True),
}


def pretokenizer_of(name: str) -> PreTokenizerSpec:
    """Return the cut that `tokenizer.ggml.pre` names.

    Raises:
        BadFile: a name that is not known here.
    """
    if name not in SPECS:
        raise BadFile(
            f"unknown pre-tokenizer {name!r}",
            where="tokenizer.ggml.pre",
            fix=f"{nearest(name, SPECS)}; convert the model again with a current llama.cpp",
        )
    return SPECS[name]
