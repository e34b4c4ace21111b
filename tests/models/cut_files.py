"""Vocabulary-only GGUF files, and merges learned across all word borders: a wrong cut shows."""

import json
import random
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import write_gguf

BLOCKS = (
    *((0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x600, 0x6FF)),
    *((0x900, 0x97F), (0xB80, 0xBFF), (0xC80, 0xCFF), (0xE00, 0xE7F), (0x1780, 0x17FF)),
    *((0xAC00, 0xD7A3), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1FAFF)),
    *((0x2000, 0x206F), (0x2190, 0x22FF), (0xFF00, 0xFFEF), (0x20, 0xFFFF)),
)
RUNS = (
    *("  ", "     ", "\n\n\n", "\r\n", " \n", "\t\t", "'s", "'LL", "'Re", "12", "12345", "1234567"),
    *("क्या", "ಕನ್ನಡ", "don't", "camelCase", "ABCdef", "Éé", "----", "...", "<|im_end|>", "🙂🏽"),
    *("\u00a0", "\u3000", "$x=1", "a/b//", "।", "!?", "(a)", " (", ")\n", "   x"),
)


@cache
def odd_texts(n: int = 250, seed: int = 3) -> tuple[str, ...]:
    """Random mixtures of scripts, numbers, spaces, signs and endings; letters composed (NFC)."""
    rng = random.Random(seed)
    return tuple(unicodedata.normalize("NFC", _odd(rng)) for _ in range(n))


def _odd(rng: random.Random) -> str:
    blocks, text = rng.sample(BLOCKS, rng.randint(1, 4)), ""
    for _ in range(rng.randint(1, 40)):
        draw = rng.random()
        if draw < 0.25:
            text += rng.choice(RUNS)
        elif draw < 0.4:
            text += rng.choice(" \n")
        else:
            letter = chr(rng.randint(*rng.choice(blocks)))
            unused = unicodedata.category(letter) in ("Cn", "Co", "Cs")
            text += ("x" if unused else letter) * rng.choice((1, 1, 1, 2, 3))
    return text


@cache
def merges_across_words(texts: tuple[str, ...], size: int = 6000) -> tuple[list[str], list[str]]:
    """Tokens and merges of byte-level BPE that was trained without any cut."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(texts * 3, trainer)
    model = json.loads(inner.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [" ".join(m) for m in model["merges"]]


def cut_metadata(name: str, tokens: Sequence[str], merges: Sequence[str]) -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": name,
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.token_type": [1] * len(tokens),
        "tokenizer.ggml.merges": list(merges),
        "tokenizer.ggml.add_bos_token": False,
    }


def write_vocabulary(path: Path, metadata: dict[str, Any], *, name: str = "x") -> Path:
    """A GGUF file without tensors; arrays get their types here."""
    types = {"tokens": "[string]", "merges": "[string]", "token_type": "[int32]"}
    types["scores"] = "[float32]"
    typed = {
        key: MetaValue(types[key.rsplit(".", 1)[1]], value) if isinstance(value, list) else value
        for key, value in metadata.items()
    }
    write_gguf(path, {"general.architecture": "llama", "general.name": name} | typed, {})
    return path
