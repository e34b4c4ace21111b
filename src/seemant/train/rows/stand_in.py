"""A tokenizer for an architecture without weights: a token a letter, bytes for anything else.

It is for measuring memory and time. It spells every text, so rows pass the same checks as a real
tokenizer's; their lengths are those of letters, longer than a trained vocabulary would make them.
"""

from seemant.core.errors import InputError
from seemant.models.tokenizer import Tokenizer, tokenizer_of_metadata

_SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
_LETTERS = (range(0x21, 0x7F), range(0x900, 0x980), range(0xC80, 0xD00))  # Latin, हिन्दी, ಕನ್ನಡ


def stand_in_tokenizer(n_vocab: int) -> Tokenizer:
    """Return it; all ids are under `n_vocab`.

    Raises:
        InputError: a vocabulary too small for 256 bytes and four special tokens.
    """
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", "\n", *(chr(code) for block in _LETTERS for code in block)]
    tokens = [*_SPECIAL, *raw, *letters][:n_vocab]
    if n_vocab < len(_SPECIAL) + len(raw):
        raise InputError(
            f"a vocabulary of {n_vocab} cannot spell 256 bytes",
            fix="use an architecture with 260 or more tokens",
        )
    return tokenizer_of_metadata(
        {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [0.0] * len(tokens),
            "tokenizer.ggml.token_type": [3, 3, 3, 2, *[6] * 256, *[1] * (len(tokens) - 260)],
            "tokenizer.ggml.bos_token_id": 2,
            "tokenizer.ggml.eos_token_id": 1,
            "tokenizer.ggml.unknown_token_id": 3,
            "tokenizer.ggml.add_bos_token": True,
            "tokenizer.ggml.add_space_prefix": False,
        }
    )
