"""Which tokens llama.cpp reads whole wherever a text spells them out, and how it treats them.

A GGUF file gives every token a type. Beyond that llama.cpp takes some by their spelling: whatever
their type, they are control tokens (`llama_vocab::impl::load` of src/llama-vocab.cpp). And white
space behind the special tokens of a model that is called phi-3 belongs to them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# llama.cpp's token types (llama_token_type).
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

_CONTROL_BY_NAME = frozenset(
    (
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "<｜end▁of▁sentence｜>",
        "<end_of_utterance>",
        "<|eom_id|>",
        "<|return|>",
        "<|call|>",
        "<|flush|>",
        "<|calls|>",
        "</s>",
        "[EOS]",
        "<eos>",
        "<turn|>",
        "<|tool_response>",
        "[e~[",
        "<|fim_prefix|>",
        "<fim-prefix>",
        "<fim_prefix>",
        "<｜fim▁begin｜>",
        "<PRE>",
        "▁<PRE>",
        "<|code_prefix|>",
        "<|prefix|>",
        "<|fim_suffix|>",
        "<fim-suffix>",
        "<fim_suffix>",
        "<｜fim▁hole｜>",
        "<SUF>",
        "▁<SUF>",
        "<|code_suffix|>",
        "<|suffix|>",
        "<|fim_middle|>",
        "<fim-middle>",
        "<fim_middle>",
        "<｜fim▁end｜>",
        "<MID>",
        "▁<MID>",
        "<|code_middle|>",
        "<|middle|>",
        "<|fim_pad|>",
        "<fim-pad>",
        "<fim_pad>",
        "<PAD>",
        "[PAD]",
        "<|fim_repo|>",
        "<|repo_name|>",
        "<fim-repo>",
        "<REPO>",
        "<reponame>",
        "<|file_sep|>",
    )
)
_SHOWN_BY_NAME = frozenset(("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"))
# Of Phi-3's special tokens these alone leave the white space behind them.
KEEP_SPACE_BEHIND = ("<unk>", "<s>", "<|endoftext|>")
_PHI3 = ("phi-3", "phi3")


def token_types(tokens: Sequence[str], metadata: Mapping[str, Any]) -> list[int]:
    """Return every token's type as llama.cpp takes it; a file without types has normal tokens."""
    types = [int(each) for each in metadata.get("tokenizer.ggml.token_type", ())]
    types += [NORMAL] * (len(tokens) - len(types))
    # Gemma 4 and PLaMo have a plain token of this spelling.
    plain_end = not {"<|tool_response>", "<|plamo:eos|>"}.isdisjoint(tokens)
    for index, token in enumerate(tokens):
        if token in _SHOWN_BY_NAME:
            types[index] = USER_DEFINED
        elif token == "</s>" and plain_end:
            types[index] = NORMAL
        elif token in _CONTROL_BY_NAME:
            types[index] = CONTROL
    return types


def is_phi3(name: str) -> bool:
    """Return whether llama.cpp treats a model of this name (`general.name`) as a Phi-3."""
    return any(each in name.lower() for each in _PHI3)


def mark_special(inner: Any, tokens: Sequence[str], types: Sequence[int], name: str) -> None:
    """Teach a tokenizer of the `tokenizers` library which tokens are read whole, in place.

    name: the model's (`general.name`).
    """
    from tokenizers import AddedToken

    phi3 = is_phi3(name)

    def added(index: int, *, special: bool) -> AddedToken:
        token = tokens[index]
        # "</s>" itself is Phi-3's, too; what is no special token isn't listed here at all.
        strips = phi3 and token not in KEEP_SPACE_BEHIND
        return AddedToken(token, normalized=False, special=special, rstrip=strips)

    hidden = [i for i, kind in enumerate(types) if kind in (CONTROL, UNKNOWN)]
    shown = [i for i, kind in enumerate(types) if kind == USER_DEFINED]
    inner.add_special_tokens([added(each, special=True) for each in hidden])
    inner.add_tokens([added(each, special=False) for each in shown])
