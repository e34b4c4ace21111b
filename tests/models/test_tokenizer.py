"""Tokenizers: llama.cpp's rule as a slow loop, and llama.cpp itself on the real files."""

import ctypes
import json
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import BadFile
from seemant.formats.gguf_read import open_gguf
from seemant.models.tokenizer import tokenizer_of_folder, tokenizer_of_metadata
from tests.models.tiny import byte_level_metadata

BYTES = [f"<0x{value:02X}>" for value in range(256)]
PIECES = {"▁": -9, "a": -8, "b": -7, "c": -6, "ab": -1, "bc": -2, "▁a": -3, "abc": -4, "aa": -5}


def sentencepiece_metadata(**more: Any) -> dict[str, Any]:
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *BYTES, *PIECES, "\n\n"]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-1000.0] * 260 + [float(s) for s in PIECES.values()] + [-1000.0],
        "tokenizer.ggml.token_type": [3, 3, 3, 2] + [6] * 256 + [1] * len(PIECES) + [4],
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.add_space_prefix": False,
    } | {f"tokenizer.ggml.{key}": value for key, value in more.items()}


def slow_sentencepiece(text: str) -> list[str]:
    """llama.cpp's rule in its plainest form: join the best-scored pair, leftmost of equals."""
    pieces = list(text.replace(" ", "▁"))
    while True:
        pairs = [(PIECES.get(a + b), -i) for i, (a, b) in enumerate(pairwise(pieces))]
        known = [pair for pair in pairs if pair[0] is not None]
        if not known:
            return [each for piece in pieces for each in _or_bytes(piece)]
        at = -max(known)[1]  # type: ignore[type-var]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]


@given(st.text(st.sampled_from("aabbcc é"), max_size=30))
def test_sentencepiece_joins_as_the_plain_loop_does(text: str) -> None:
    tokenizer = tokenizer_of_metadata(sentencepiece_metadata())
    ids = tokenizer.encode(text, add_bos=False)
    assert [tokenizer.inner.id_to_token(each) for each in ids] == slow_sentencepiece(text)
    assert tokenizer.decode(ids) == text


def test_bos_comes_as_the_file_says_unless_the_caller_says_otherwise() -> None:
    asks = tokenizer_of_metadata(sentencepiece_metadata())  # the kind's default: yes
    silent = tokenizer_of_metadata(sentencepiece_metadata(add_bos_token=False))
    assert asks.encode("ab")[0] == 2 and asks.encode("ab", add_bos=False)[0] != 2
    assert silent.encode("ab")[0] != 2 and silent.encode("ab", add_bos=True)[0] == 2
    assert asks.encode("") == [2] and silent.encode("") == []


def test_special_tokens_in_a_text_are_read_as_themselves_and_left_out_when_decoded() -> None:
    tokenizer = tokenizer_of_metadata(sentencepiece_metadata())
    ids = tokenizer.encode("ab<eos>c\n\n", add_bos=False)
    assert [ids[1], ids[-1]] == [1, tokenizer.id_of("\n\n")]
    assert tokenizer.decode(ids) == "abc\n\n"


def test_a_space_is_put_in_front_where_the_file_says_so() -> None:
    tokenizer = tokenizer_of_metadata(sentencepiece_metadata(add_space_prefix=True))
    ids = tokenizer.encode("ab", add_bos=False)
    assert [tokenizer.inner.id_to_token(each) for each in ids] == ["▁", "ab"]
    assert tokenizer.decode(ids) == "ab"


@given(st.text(max_size=40))
def test_byte_level_text_comes_back_whole(text: str) -> None:
    tokenizer = tokenizer_of_metadata(byte_level_metadata())
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("make", [sentencepiece_metadata, byte_level_metadata])
def test_a_saved_tokenizer_gives_the_same_ids(
    make: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    tokenizer = tokenizer_of_metadata(make())
    tokenizer.save(tmp_path)
    again = tokenizer_of_folder(tmp_path)
    for text in ("the ab  abc\n\n", "", "é🙂 <eos>"):
        assert again.encode(text) == tokenizer.encode(text)
    facts = (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos)
    assert (again.bos_id, again.eos_id, again.add_bos) == facts


def test_transformers_reads_the_saved_tokenizer_with_the_same_ids(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = tokenizer_of_metadata(sentencepiece_metadata())
    tokenizer.save(tmp_path)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert theirs("ab c<eos>").input_ids == tokenizer.encode("ab c<eos>")


def test_unknown_kinds_and_cuts_are_refused_by_name() -> None:
    with pytest.raises(BadFile, match="'t5'"):
        tokenizer_of_metadata(sentencepiece_metadata(model="t5"))
    with pytest.raises(BadFile, match="'smollm2'") as caught:
        tokenizer_of_metadata(byte_level_metadata() | {"tokenizer.ggml.pre": "smollm2"})
    assert "did you mean 'smollm'" in str(caught.value)


def test_a_folder_without_a_fast_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"no tokenizer\.json"):
        tokenizer_of_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadFile, match="cannot be read"):
        tokenizer_of_folder(tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("name", ["gemma_gguf", "smol_gguf"])
def test_ids_are_llama_cpps_on_hindi_kannada_english_and_code(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = request.getfixturevalue(name)
    ours = tokenizer_of_metadata(open_gguf(path).metadata)
    ours.save(tmp_path)
    cached, theirs = tokenizer_of_folder(tmp_path), llama_tokenize(path)
    n_letters = 0
    for text in texts():
        n_letters += len(text)
        wanted = theirs(text)
        assert ours.encode(text) == wanted, text
        assert cached.encode(text) == wanted, text
    assert n_letters > 150_000


@pytest.mark.real
@pytest.mark.parametrize("name", ["gemma_gguf", "smol_gguf"])
def test_ids_are_llama_cpps_on_the_evaluation_data(
    name: str, request: pytest.FixtureRequest, data_dir: Path
) -> None:
    path = request.getfixturevalue(name)
    ours, theirs = tokenizer_of_metadata(open_gguf(path).metadata), llama_tokenize(path)
    for file in ("hi_wiki_heldout.txt", "kn_wiki_heldout.txt", "en_wiki_retention.txt"):
        for line in (data_dir / "corpus" / file).read_text(encoding="utf-8").splitlines()[:120]:
            assert ours.encode(line) == theirs(line), line
    for line in (data_dir / "code" / "mbpp.jsonl").read_text(encoding="utf-8").splitlines()[:100]:
        assert ours.encode(json.loads(line)["code"]) == theirs(json.loads(line)["code"])


def texts() -> Iterator[str]:
    """The shipped corpus and probes, this project's own code, and random mixtures."""
    source = Path(__file__).parents[2] / "src" / "seemant"
    for path in [
        *sorted((source / "corpus").rglob("*.jsonl")),
        source / "probe/data/families.jsonl",
    ]:
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            yield record.get("text") or record["question"]
    for path in sorted(source.rglob("*.py"))[:25]:
        yield path.read_text(encoding="utf-8")
    rng = random.Random(1)
    runs = ["  ", "     ", "\n\n\n", "aaaa", "<|im_end|>", "<eos>", "it's", "I'LL", "----", "\t\t"]
    alphabet = [*"aab  \n\t1234'Sséक्षिनಕನ್ನಡ中文🙂\u200d\u200c<>|▁\r.,!?-_=#", *runs]
    for _ in range(1000):
        yield "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 30)))
    blocks = [(32, 126), (0x900, 0x97F), (0xC80, 0xCFF), (0x20, 0x2FFF), (0x1F300, 0x1FAFF)]
    for _ in range(500):
        yield "".join(chr(rng.randint(*rng.choice(blocks))) for _ in range(rng.randint(1, 40)))


def llama_tokenize(path: Path) -> Callable[[str], list[int]]:
    """llama.cpp's own tokenizer of a file, through the wheel's C functions."""
    xllamacpp = pytest.importorskip("xllamacpp")
    library = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("*.so"))))

    class Params(ctypes.Structure):
        _fields_ = [("opaque", ctypes.c_uint8 * 512)]

    library.llama_log_set(_SILENT, None)
    library.llama_model_default_params.restype = Params
    library.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
    library.llama_model_load_from_file.restype = ctypes.c_void_p
    library.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
    library.llama_model_get_vocab.restype = ctypes.c_void_p
    # fmt: off
    library.llama_tokenize.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32),
        ctypes.c_int32, ctypes.c_bool, ctypes.c_bool,
    ]
    # fmt: on
    library.llama_backend_init()
    params = library.llama_model_default_params()
    model = library.llama_model_load_from_file(str(path).encode(), params)
    assert model, path
    vocabulary = library.llama_model_get_vocab(model)

    def tokenize(text: str) -> list[int]:
        data = text.encode()
        room = (ctypes.c_int32 * (len(data) + 16))()
        n = library.llama_tokenize(vocabulary, data, len(data), room, len(room), True, True)
        assert n >= 0
        return list(room[:n])

    return tokenize


_SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)


def _or_bytes(piece: str) -> list[str]:
    return [piece] if piece in PIECES else [f"<0x{value:02X}>" for value in piece.encode()]
