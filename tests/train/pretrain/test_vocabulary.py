"""Vocabularies made here: against a plain loop, against llama.cpp, the same in every process."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import BadConfig, BadRecord
from seemant.core.records import LANGUAGES
from seemant.corpus.shipped import shipped
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.tokenizer import Tokenizer
from seemant.train.pretrain.vocabulary import (
    BEGIN,
    END,
    bpe_metadata,
    byte_letters,
    byte_metadata,
    tokenizer_of,
)
from tests.models.test_tokenizer import llama_tokenize, texts

WORDS = ["कमल खिला है, कमल अच्छा है।", "ಮಳೆ ಬಂತು, ಮಳೆ ನಿಂತಿತು.", "the rain in the lane, the end"]


def shipped_texts() -> list[str]:
    return [paragraph.text for lang in LANGUAGES for paragraph in shipped(lang)]


def plain_merges(given: list[str], n: int) -> list[tuple[bytes, bytes]]:
    """Algorithm 1 of the paper on bytes: count all pairs, merge the most frequent, again."""
    cut = regex.compile(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
        r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    words = Counter(word for text in given for word in cut.findall(text))
    pieces = {word: [bytes([b]) for b in word.encode()] for word in words}
    merges = []
    while len(merges) < n:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words.items():
            for pair in pairwise(pieces[word]):
                pairs[pair] += count
        best = max(pairs.values())
        leaders = [pair for pair, count in pairs.items() if count == best]
        if len(leaders) > 1:
            return merges  # a tie: any of them is right, so the comparison ends here
        merges.append(leaders[0])
        for word, parts in pieces.items():
            joined, i = [], 0
            while i < len(parts):
                if i + 1 < len(parts) and (parts[i], parts[i + 1]) == leaders[0]:
                    joined.append(parts[i] + parts[i + 1])
                    i += 2
                else:
                    joined.append(parts[i])
                    i += 1
            pieces[word] = joined
    return merges


def test_merges_are_the_plain_loop_s() -> None:
    given = shipped_texts()[:60]
    byte_of = {letter: bytes([b]) for b, letter in enumerate(byte_letters())}
    metadata = bpe_metadata(given, 258 + 120)
    ours = [
        tuple(b"".join(byte_of[letter] for letter in part) for part in pair.split(" "))
        for pair in metadata["tokenizer.ggml.merges"].value
    ]
    wanted = plain_merges(given, 120)
    assert len(wanted) >= 15  # before the first tie
    assert ours[: len(wanted)] == wanted


def test_ids_are_bytes_then_merges_then_the_two_special_tokens() -> None:
    metadata = bpe_metadata(WORDS * 3, 290)
    tokens, kinds = (metadata[f"tokenizer.ggml.{key}"].value for key in ("tokens", "token_type"))
    merges = metadata["tokenizer.ggml.merges"].value
    assert len(tokens) == len(set(tokens)) == len(kinds) == 290
    assert tokens[:256] == byte_letters() and tokens[-2:] == [BEGIN, END]
    assert tokens[256:-2] == [merge.replace(" ", "") for merge in merges]
    assert kinds == [1] * 288 + [3, 3]
    tokenizer = tokenizer_of(metadata)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.n_tokens) == (288, 289, 290)


def test_the_byte_letters_are_those_of_the_tokenizers_library() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = byte_letters()
    assert sorted(letters) == sorted(ByteLevel.alphabet())
    for text in ("~!a Z\n\t\0", "कै", "ÿ"):
        found = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
        assert "".join(piece for piece, _ in found) == "".join(letters[b] for b in text.encode())


@given(st.text(max_size=40))
def test_a_byte_vocabulary_s_ids_are_the_text_s_bytes(text: str) -> None:
    tokenizer = tokenizer_of(byte_metadata())
    if BEGIN in text or END in text:
        return
    assert tokenizer.encode(text, add_bos=False) == list(text.encode())
    assert tokenizer.encode(text)[0] == 256
    assert tokenizer.decode(list(text.encode())) == text


@given(st.text(max_size=60))
def test_a_learned_vocabulary_loses_no_text(text: str) -> None:
    tokenizer = learned()
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace(BEGIN, "").replace(END, "")


def test_vowel_signs_stay_with_their_letters() -> None:
    """A word whose signs were cut off could never become one token; क्या is four code points."""
    tokenizer = tokenizer_of(bpe_metadata(["क्या हुआ?", "ಬೆಂಗಳೂರು ನಗರ."] * 50, 330))
    assert [tokenizer.decode([i]) for i in tokenizer.encode("क्या", add_bos=False)] == ["क्या"]
    ids = tokenizer.encode("ಬೆಂಗಳೂರು", add_bos=False)
    assert [tokenizer.decode([i]) for i in ids] == ["ಬೆಂಗಳೂರು"]


def test_every_process_learns_the_same_vocabulary() -> None:
    code = (
        "import json, sys, hashlib\n"
        "from tests.train.pretrain.test_vocabulary import shipped_texts, fingerprint\n"
        "print(fingerprint(shipped_texts()))"
    )
    seen = {fingerprint(shipped_texts())}
    for parallel, seed in (("true", "1"), ("false", "2")):
        environment = os.environ | {"TOKENIZERS_PARALLELISM": parallel, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout.strip())
    assert len(seen) == 1


def test_a_vocabulary_without_room_or_text_is_refused() -> None:
    with pytest.raises(BadConfig, match="no room"):
        bpe_metadata(WORDS, 258)
    with pytest.raises(BadRecord, match="too short"):
        bpe_metadata(["a"], 300)


def test_ids_are_llama_cpp_s(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    for name, metadata in (("bpe", bpe_metadata(shipped_texts(), 1500)), ("byte", byte_metadata())):
        path = tmp_path / f"{name}.gguf"
        write_vocabulary(path, metadata)
        ours, theirs = tokenizer_of(metadata), llama_tokenize(path)
        n_letters = 0
        for text in texts():
            n_letters += len(text)
            assert ours.encode(text) == theirs(text), text
        assert n_letters > 150_000


@cache
def learned() -> Tokenizer:
    return tokenizer_of(bpe_metadata(shipped_texts(), 800))


def fingerprint(given: list[str]) -> str:
    metadata = bpe_metadata(given, 700)
    parts = [metadata[f"tokenizer.ggml.{key}"].value for key in ("tokens", "merges")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def write_vocabulary(path: Path, metadata: dict[str, Any]) -> None:
    """A file of the smallest model around a vocabulary: llama.cpp reads no vocabulary alone."""
    n = len(metadata["tokenizer.ggml.tokens"].value)
    head = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": 64,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 32,
        "llama.attention.head_count": 1,
        "llama.attention.layer_norm_rms_epsilon": MetaValue("float32", 1e-5),
    }
    shapes = {"token_embd.weight": (n, 32), "output_norm.weight": (32,)}
    shapes |= {f"blk.0.{part}.weight": (32,) for part in ("attn_norm", "ffn_norm")}
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes |= {f"blk.0.{part}.weight": (32, 32) for part in square}
    tensors = {
        name: TensorData("F32", shape, np.zeros(shape, np.float32))
        for name, shape in shapes.items()
    }
    write_gguf(path, head | metadata, tensors)
