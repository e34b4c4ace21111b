"""A trimmed model reads kept text as before, and writes every other text by smaller pieces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.compress.vocab.keep import kept_tokens
from seemant.compress.vocab.merges import pieces_of, rank_of
from seemant.compress.vocab.price import outside, text_nats
from seemant.compress.vocab.trim import new_ids, trimmed
from seemant.core.errors import BadFile, InputError
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.tokenizer import Tokenizer, tokenizer_of_metadata
from tests.compress.evaluate.tiny_decoders import tiny_decoder

WORDS = [
    "▁नदी",
    "नदी",
    "नद",
    "▁क",
    "ही",
    "कही",
    "▁कही",
    "▁riv",
    "ri",
    "er",
    "river",
    "▁river",
    "aa",
]
WORDS += ["riv", "xyz", "yz"]
LETTERS = sorted({letter for word in WORDS for letter in word} | {"z", "ß"})


def sentencepiece() -> dict[str, MetaValue]:
    """<unk> <s> </s> <unused0> <turn>, 256 bytes, letters, words with falling scores."""
    tokens = ["<unk>", "<s>", "</s>", "<unused0>", "<turn>"]
    types = [2, 3, 3, 3, 4] + [6] * 256
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += LETTERS + WORDS
    types += [1] * (len(tokens) - len(types))
    scores = [-1000.0] * (len(tokens) - len(WORDS)) + [-float(i) for i in range(len(WORDS))]
    return {
        "general.architecture": MetaValue("string", "llama"),
        "llama.vocab_size": MetaValue("uint32", len(tokens)),
        "tokenizer.ggml.model": MetaValue("string", "llama"),
        "tokenizer.ggml.tokens": MetaValue("[string]", tokens),
        "tokenizer.ggml.scores": MetaValue("[float32]", scores),
        "tokenizer.ggml.token_type": MetaValue("[int32]", types),
        "tokenizer.ggml.bos_token_id": MetaValue("uint32", 1),
        "tokenizer.ggml.eos_token_id": MetaValue("uint32", 2),
        "tokenizer.ggml.unknown_token_id": MetaValue("uint32", 0),
        "tokenizer.ggml.add_space_prefix": MetaValue("bool", False),
    }


def byte_level() -> dict[str, MetaValue]:
    from tokenizers.pre_tokenizers import ByteLevel

    merges = ["r i", "ri v", "e r", "riv er", "Ġ riv", "Ġriv er", "a b", "ab c", "à ¤"]
    letters = sorted(ByteLevel.alphabet())
    tokens = ["<|end|>", *letters, *(m.replace(" ", "") for m in merges)]
    types = [3] + [1] * (len(tokens) - 1)
    return {
        "general.architecture": MetaValue("string", "llama"),
        "tokenizer.ggml.model": MetaValue("string", "gpt2"),
        "tokenizer.ggml.pre": MetaValue("string", "gpt-2"),
        "tokenizer.ggml.tokens": MetaValue("[string]", tokens),
        "tokenizer.ggml.token_type": MetaValue("[int32]", types),
        "tokenizer.ggml.merges": MetaValue("[string]", merges),
        "tokenizer.ggml.eos_token_id": MetaValue("uint32", 0),
    }


def write(path: Path, metadata: dict[str, MetaValue], *, pad: int = 0) -> Path:
    n = len(metadata["tokenizer.ggml.tokens"].value) + pad
    rows = np.arange(n * 32, dtype=np.float32).reshape(n, 32)
    tensors = {
        "token_embd.weight": TensorData("F32", (n, 32), rows),
        "output_norm.weight": TensorData("F32", (32,), np.ones(32, np.float32)),
    }
    write_gguf(path, metadata, tensors)
    return path


def trim(path: Path, texts: list[str]) -> tuple[Tokenizer, Tokenizer, np.ndarray, Any]:
    file = open_gguf(path)
    before = tokenizer_of_metadata(file.metadata)
    kept = kept_tokens(file.metadata, before, texts)
    out = path.with_name("small.gguf")
    assert trimmed(file, kept.ids, out) == out.stat().st_size < path.stat().st_size
    small, name = open_gguf(out), "token_embd.weight"
    assert (small.dequantize(name) == file.dequantize(name)[kept.ids]).all()
    return before, tokenizer_of_metadata(small.metadata), kept.ids, small


@pytest.mark.parametrize(
    ("metadata", "seen", "other"),
    [
        (sentencepiece, "नदी कही <turn> कही", "river नदी ß द xyz ह"),
        (byte_level, "river river", "abc नदी river!"),
    ],
)
def test_kept_text_has_the_same_tokens_and_every_text_comes_back(
    metadata: Any, seen: str, other: str, tmp_path: Path
) -> None:
    before, after, ids, _small = trim(write(tmp_path / "m.gguf", metadata(), pad=3), [seen])
    new = new_ids(ids, before.n_tokens)
    assert after.encode(seen) == new[before.encode(seen)].tolist()
    assert len(before.encode(other)) < len(after.encode(other))
    for text in (seen, other):
        assert after.decode(after.encode(text)) == before.decode(before.encode(text))
    assert outside(before, [seen], ids).n_outside == 0
    count = outside(before, [other], ids)
    assert 0 < count.n_outside < count.n and count.share == count.n_outside / count.n


def test_special_tokens_keep_their_roles_and_reserved_ones_go(tmp_path: Path) -> None:
    before, after, ids, small = trim(write(tmp_path / "m.gguf", sentencepiece()), ["नदी"])
    assert small.metadata["llama.vocab_size"] == len(ids) == after.n_tokens
    assert (after.bos_id, after.eos_id) == (1, 2)
    assert before.id_of("<unused0>") is not None and after.id_of("<unused0>") is None
    assert after.id_of("<turn>") == 3
    assert small.metadata["seemant.vocabulary_trimmed_from"] == before.n_tokens
    assert small.fields["tokenizer.ggml.scores"].type == "[float32]"


def test_the_chat_template_s_own_words_stay(tmp_path: Path) -> None:
    template = "{% for m in messages %}<turn>{{ m.role[:3] }}xyz {{ m.content }}{% endfor %}"
    metadata = sentencepiece() | {"tokenizer.chat_template": MetaValue("string", template)}
    _, after, _, _ = trim(write(tmp_path / "m.gguf", metadata), ["नदी"])
    assert after.id_of("xyz") is not None and after.id_of("river") is None
    _, plain, _, _ = trim(write(tmp_path / "p.gguf", sentencepiece()), ["नदी"])
    assert plain.id_of("xyz") is None


def test_pieces_on_the_way_to_a_token_are_kept() -> None:
    rank = rank_of({k: v.value for k, v in sentencepiece().items()})
    assert pieces_of("▁नदी", rank) >= {"▁", "न", "द", "ी", "▁नदी"}
    rank = rank_of({k: v.value for k, v in byte_level().items()})
    # "riv er" comes before "Ġ riv", after which nothing joins "Ġ" and "river"
    assert pieces_of("Ġriver", rank) == {*"Ġriver", "ri", "riv", "er", "river"}


def test_what_cannot_be_trimmed_is_refused(tmp_path: Path) -> None:
    file = open_gguf(write(tmp_path / "m.gguf", sentencepiece()))
    with pytest.raises(BadFile, match="bos_token_id"):
        trimmed(file, np.array([0, 2, 5]), tmp_path / "x.gguf")
    with pytest.raises(ValueError, match="ascend"):
        trimmed(file, np.array([2, 1]), tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()
    write_gguf(tmp_path / "n.gguf", {"general.architecture": "llama"}, {})
    with pytest.raises(BadFile, match="0 tokens"):
        trimmed(open_gguf(tmp_path / "n.gguf"), np.array([0]), tmp_path / "x.gguf")


def test_nats_of_texts_are_those_of_their_tokens() -> None:
    import torch

    metadata = {k: v.value for k, v in sentencepiece().items()}
    tokenizer, decoder = tokenizer_of_metadata(metadata), tiny_decoder()
    texts = ["नदी कही", "river"]
    found = text_nats(decoder, tokenizer, texts)
    for index, text in enumerate(texts):
        ids = tokenizer.encode(text, True)
        hidden = decoder(torch.tensor(ids), [len(ids)])[:-1]
        weight = decoder.get_submodule("model.embed_tokens").weight
        rows = (hidden @ weight.T).log_softmax(-1)
        wanted = -rows[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum()
        assert found.nats[index] == pytest.approx(wanted.item(), rel=1e-5)
    assert found.n_bytes.tolist() == [len(t.encode()) for t in texts]
    assert found.over(found).value == 1 and found.over(found).n == found.n_bytes.sum()
    assert found.per_byte().value == pytest.approx(found.nats.sum() / found.n_bytes.sum())
    with pytest.raises(InputError, match="tokens"):
        text_nats(decoder, tokenizer, ["नदी " * 2000])


@pytest.mark.real
def test_gemma_trimmed_to_two_languages_reads_and_writes_them_as_before(
    gemma_gguf: Path, data_dir: Path, tmp_path: Path
) -> None:
    corpus = data_dir / "corpus"
    lines = {
        name: (corpus / f"{name}.txt").read_text("utf-8").splitlines()[:120]
        for name in ("hi_wiki_train", "kn_wiki_train", "hi_wiki_heldout", "kn_wiki_heldout")
    }
    seen = lines["hi_wiki_train"] + lines["kn_wiki_train"]
    before, after, ids, small = trim_real(gemma_gguf, seen, tmp_path / "small.gguf")
    new = new_ids(ids, before.n_tokens)
    assert after.n_tokens == len(ids) == small.tensors["token_embd.weight"].shape[0] < 40_000
    for line in seen[::7]:
        assert after.encode(line) == new[before.encode(line)].tolist()
    for line in lines["hi_wiki_heldout"] + lines["kn_wiki_heldout"]:
        assert after.decode(after.encode(line)) == line
    share = outside(before, lines["hi_wiki_heldout"], ids).share
    assert 0 < share < 0.3  # 120 lines of each language choose the rows


def trim_real(path: Path, texts: list[str], out: Path) -> tuple[Tokenizer, Tokenizer, Any, Any]:
    file = open_gguf(path)
    before = tokenizer_of_metadata(file.metadata)
    kept = kept_tokens(file.metadata, before, texts)
    trimmed(file, kept.ids, out)
    small = open_gguf(out)
    return before, tokenizer_of_metadata(small.metadata), kept.ids, small
