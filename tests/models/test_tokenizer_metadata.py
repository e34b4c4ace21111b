"""A folder's tokenizer in a GGUF file: the ids of folder, file and llama.cpp are one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors
from tokenizers import pre_tokenizers as cuts

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.models.backends.llama_vocab import llama_vocabulary
from seemant.models.byte_fallback import byte_scores
from seemant.models.tokenizer import tokenizer_of_folder, tokenizer_of_metadata
from seemant.models.tokenizer_kinds import sentencepiece_merges
from seemant.models.tokenizer_metadata import metadata_of_tokenizer
from tests.models.cut_files import merges_across_words, odd_texts, write_vocabulary

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ENDS = "'(?i:[sdmt]|ll|ve|re)"  # the same endings, written otherwise
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
SPECIAL = ("<|im_end|>", "<|endoftext|>", "<|im_start|>")


def byte_level(pre: Any = None, *, whole: bool = False, normalizer: Any = None) -> Tokenizer:
    tokens, merges = merges_across_words(odd_texts())
    pairs = [(a, b) for a, b in (each.split(" ") for each in merges)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=whole))
    inner.pre_tokenizer = pre or split(QWEN2)
    inner.decoder = decoders.ByteLevel()
    if normalizer:
        inner.normalizer = normalizer
    inner.add_special_tokens([AddedToken(each, special=True) for each in SPECIAL])
    return inner


def split(expression: str) -> Any:
    level = cuts.ByteLevel(add_prefix_space=False, use_regex=False)
    return cuts.Sequence([cuts.Split(Regex(expression), "isolated"), level])


def sentencepiece(**more: Any) -> Tokenizer:
    """Gemma's look: a complete set of merges, bytes to fall back on."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{i:02X}>" for i in range(256))]
    words = ["▁t", "he", "▁the", "क्", "्या", "क्या", "▁क्या", "in", "ing", "▁▁", "▁▁▁", "▁▁▁▁"]
    letters = sorted({letter for word in words for letter in word} | set("abcdxy,.\n"))
    pieces += [*words, *letters]
    scores = [0.0] * 260 + [-float(i) for i in range(len(words) + len(letters))]
    inner = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=sentencepiece_merges(pieces, scores),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    inner.normalizer = more.get("normalizer") or normalizers.Replace(" ", "▁")
    if "pre" in more:
        inner.pre_tokenizer = more["pre"]
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    inner.add_special_tokens([AddedToken(p, special=True) for p in pieces[:4]])
    return inner


def folder_of(path: Path, inner: Tokenizer, **config: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    inner.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    said = json.loads((folder / "tokenizer.json").read_text())
    change(said)
    (folder / "tokenizer.json").write_text(json.dumps(said))
    return folder


def three_ways(folder: Path, path: Path, n_vocab: int | None = None, name: str = "x") -> Any:
    """Compare folder, our reading and llama.cpp's on odd texts; returns the metadata."""
    pytest.importorskip("xllamacpp")
    of_folder = tokenizer_of_folder(folder)
    rows = n_vocab or of_folder.n_tokens
    typed = metadata_of_tokenizer(folder, rows, name=name)
    plain = {k: v.value if isinstance(v, MetaValue) else v for k, v in typed.items()}
    of_file = tokenizer_of_metadata({"general.name": name} | plain)
    name = plain.pop("general.name", name)
    special = [str(of_folder.inner.id_to_token(i)) for i in range(of_folder.n_tokens)][-8:]
    texts = [*odd_texts(120), *(f"the {s} क्या{s}\n{s}  {s}a" for s in special)]
    with llama_vocabulary(write_vocabulary(path, plain, name=name)) as theirs:
        for text in texts:
            wanted = of_folder.encode(text)
            assert of_file.encode(text) == wanted, text
            assert theirs(text) == wanted, text
    return plain


@pytest.mark.parametrize("name", ["qwen3", "gemma3", "llama3_1"])
def test_published_tokenizers_cut_small_give_one_set_of_ids(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    three_ways(data_dir / "field" / "tokenizers" / name, tmp_path / "v.gguf")


@pytest.mark.parametrize(
    ("pre", "whole", "name"),
    [
        (split(QWEN2), False, "qwen2"),
        (split(QWEN2.replace(r"\p{N}|", r"\p{N}{1,1}|")), False, "qwen2"),
        (split(QWEN2.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", ENDS)), False, "qwen2"),
        (cuts.Sequence([cuts.Sequence([split(QWEN2)])]), False, "qwen2"),
        (split(LLAMA3), True, "llama-bpe"),
        (split(LLAMA3), False, "chatglm-bpe"),
        (cuts.ByteLevel(add_prefix_space=False), False, "gpt-2"),
        (
            cuts.Sequence([cuts.Digits(individual_digits=True), cuts.ByteLevel(False)]),
            False,
            "smollm",
        ),
        (
            cuts.Sequence([cuts.Split(Regex(r"\p{N}"), "isolated"), cuts.ByteLevel(False)]),
            False,
            "smollm",
        ),
    ],
)  # fmt: skip
def test_a_cut_is_known_by_what_it_does(pre: Any, whole: bool, name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, byte_level(pre, whole=whole), eos_token="<|im_end|>")
    assert three_ways(folder, tmp_path / "v.gguf")["tokenizer.ggml.pre"] == name


def test_whole_words_first_is_no_difference_where_every_token_is_merged(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, byte_level(split(QWEN2), whole=True))
    assert three_ways(folder, tmp_path / "v.gguf")["tokenizer.ggml.pre"] == "qwen2"


@pytest.mark.parametrize(
    ("pre", "words"),
    [
        (split(r"\p{L}+|\p{N}+|\s+|[^\s\p{L}\p{N}]+"), "nearest"),
        (split(QWEN2.replace(r"\p{N}|", r"\p{N}{1,2}|")), "'345'"),
        (cuts.ByteLevel(add_prefix_space=True), "' plain'"),
    ],
)
def test_an_unknown_cut_is_refused_with_what_differs(pre: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cuts words") as caught:
        metadata_of_tokenizer(folder_of(tmp_path, byte_level(pre)), 7000)
    assert words in str(caught.value)


def test_composing_letters_is_let_through_and_other_rewriting_is_not(tmp_path: Path) -> None:
    three_ways(
        folder_of(tmp_path / "nfc", byte_level(normalizer=normalizers.NFC())), tmp_path / "v"
    )
    for made in (normalizers.Lowercase(), normalizers.NFKC(), normalizers.Replace("a", "b")):
        folder = folder_of(tmp_path / "other", byte_level(normalizer=made))
        with pytest.raises(BadFile, match="rewrites text"):
            metadata_of_tokenizer(folder, 7000)


def test_merges_may_be_strings_or_pairs_and_of_equal_ones_the_last_counts(tmp_path: Path) -> None:
    def as_text(said: dict[str, Any]) -> None:
        said["model"]["merges"] = [" ".join(pair) for pair in said["model"]["merges"]]

    def doubled(said: dict[str, Any]) -> None:
        merges = said["model"]["merges"]
        said["model"]["merges"] = [*merges, *merges[:40]]

    for i, change in enumerate((as_text, doubled)):
        folder = changed(folder_of(tmp_path / str(i), byte_level()), change)
        three_ways(folder, tmp_path / "v.gguf")


def test_merges_of_tokens_that_are_not_there_are_refused_from_folder_and_file(
    tmp_path: Path,
) -> None:
    folder = changed(
        folder_of(tmp_path, byte_level()), lambda said: said["model"]["merges"].append(["zq", "qz"])
    )
    with pytest.raises(BadFile, match="zq"):
        tokenizer_of_folder(folder)
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": ["a", "b"],
        "tokenizer.ggml.merges": ["a b"],
    }
    with pytest.raises(BadFile, match="not all three are tokens"):
        tokenizer_of_metadata(metadata)


def test_bos_comes_from_the_config_or_from_the_post_processor_alone(tmp_path: Path) -> None:
    inner = byte_level()
    plain = folder_of(tmp_path / "plain", inner, bos_token=SPECIAL[0], add_bos_token=True)
    bos = inner.token_to_id(SPECIAL[0])
    assert three_ways(plain, tmp_path / "v.gguf")["tokenizer.ggml.add_bos_token"] is True
    inner.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[0]} $A", pair=None, special_tokens=[(SPECIAL[0], bos)]
    )
    for config in ({}, {"bos_token": SPECIAL[0]}):
        metadata = three_ways(folder_of(tmp_path / "made", inner, **config), tmp_path / "v.gguf")
        assert metadata["tokenizer.ggml.bos_token_id"] == bos
        assert metadata["tokenizer.ggml.add_bos_token"] is True


def test_what_was_saved_beside_the_words_is_left_out(tmp_path: Path) -> None:
    text = "नहर पवोरा the theatre " * 9
    wanted = tokenizer_of_folder(folder_of(tmp_path / "plain", byte_level())).encode(text)
    inner = byte_level()
    inner.enable_truncation(8)
    inner.enable_padding(length=300)
    folder = changed(
        folder_of(tmp_path / "state", inner), lambda said: said["model"].update(dropout=0.5)
    )
    read = tokenizer_of_folder(folder)
    assert read.encode(text) == wanted and read.encode_batch([text, "a"])[0] == wanted
    read.save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    assert saved["truncation"] is None and saved["padding"] is None
    three_ways(folder, tmp_path / "v.gguf")


def test_rows_beyond_the_tokens_are_unused_and_added_tokens_beyond_the_rows_are_left_out(
    tmp_path: Path,
) -> None:
    folder = folder_of(tmp_path, byte_level())
    n = tokenizer_of_folder(folder).n_tokens
    padded = three_ways(folder, tmp_path / "v.gguf", n + 5)
    assert padded["tokenizer.ggml.tokens"][-1] == f"[PAD{n + 4}]"
    assert padded["tokenizer.ggml.token_type"][-6:] == [3, 5, 5, 5, 5, 5]
    short = metadata_of_tokenizer(folder, n - 1)
    assert SPECIAL[-1] not in short["tokenizer.ggml.tokens"].value
    with pytest.raises(BadFile, match="ids up to"):
        metadata_of_tokenizer(folder, n - 3)


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_added_tokens_that_take_the_space_around_them_are_refused(
    flag: str, tmp_path: Path
) -> None:
    def change(said: dict[str, Any]) -> None:
        said["added_tokens"][0][flag] = True

    folder = changed(folder_of(tmp_path, byte_level()), change)
    with pytest.raises(BadFile, match="other tokens than this folder"):
        metadata_of_tokenizer(folder, 7000)


def test_bpe_with_byte_fallback_is_written_with_scores(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, sentencepiece(), bos_token="<bos>", add_bos_token=True)
    metadata = three_ways(folder, tmp_path / "v.gguf")
    assert metadata["tokenizer.ggml.model"] == "llama"
    assert metadata["tokenizer.ggml.add_space_prefix"] is False
    assert metadata["tokenizer.ggml.token_type"][:5] == [3, 3, 3, 3, 6]


def test_a_space_put_in_front_is_written_as_such(tmp_path: Path) -> None:
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    folder = folder_of(tmp_path, sentencepiece(normalizer=prepend))
    assert three_ways(folder, tmp_path / "v.gguf")["tokenizer.ggml.add_space_prefix"] is True
    once = cuts.Metaspace(prepend_scheme="first", split=False)
    folder = folder_of(tmp_path, sentencepiece(normalizer=normalizers.Sequence([]), pre=once))
    with pytest.raises(BadFile):
        metadata_of_tokenizer(folder, 400)


def test_phi_3_s_special_tokens_swallow_the_space_behind_them(tmp_path: Path) -> None:
    inner = sentencepiece()
    names = ("<unk>", "<s>", "</s>", "<|endoftext|>", "<|user|>", "<|end|>")
    inner.add_special_tokens([AddedToken(n, special=True) for n in names if n[1] != "/"])
    inner.add_tokens([AddedToken("</s>", rstrip=True, normalized=False)])

    def change(said: dict[str, Any]) -> None:
        said["added_tokens"] = [
            each | {"rstrip": each["content"] in ("</s>", "<|user|>", "<|end|>")}
            for each in said["added_tokens"]
            if each["content"] in names
        ]

    folder = changed(folder_of(tmp_path, inner), change)
    for name in ("mini", "Phi-3-mini"):
        three_ways(folder, tmp_path / "v.gguf", name=name)
    made = metadata_of_tokenizer(folder, 400, name="mini")
    assert made["general.name"] == "mini (phi-3)"


def test_merges_that_no_scores_can_stand_for_are_written_themselves(tmp_path: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        said["model"]["merges"] = [m for m in said["model"]["merges"] if m != ["▁", "▁▁"]]

    folder = changed(folder_of(tmp_path, sentencepiece()), change)
    assert three_ways(folder, tmp_path / "v.gguf")["tokenizer.ggml.model"] == "gpt2"


@pytest.mark.real
def test_gemma_s_own_scores_come_back_from_its_merges(gemma_gguf: Path) -> None:
    from seemant.formats.gguf_read import open_gguf

    metadata = open_gguf(gemma_gguf).metadata
    tokens = metadata["tokenizer.ggml.tokens"]
    types = [int(each) for each in metadata["tokenizer.ggml.token_type"]]
    scores = [float(each) for each in metadata["tokenizer.ggml.scores"]]
    merges = sentencepiece_merges(tokens, scores)
    plain = [1 if kind == 6 else kind for kind in types]
    found, marked = byte_scores(dict(enumerate(tokens)), plain, merges)
    assert marked == types
    joined = {left + right for left, right in merges}
    differ = [t for t, a, b in zip(tokens, found, scores, strict=True) if a != b and t in joined]
    assert not differ


def test_another_kind_of_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    inner = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0))
    with pytest.raises(BadFile, match="Unigram"):
        metadata_of_tokenizer(folder_of(tmp_path, inner), 2)
    shutil.rmtree(tmp_path)
