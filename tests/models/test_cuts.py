"""Word cuts: every one against llama.cpp's own, and told from all others by the telling texts."""

from itertools import combinations
from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.models.backends.llama_vocab import llama_vocabulary
from seemant.models.cut_meaning import _of_cut
from seemant.models.cuts import CUTS, cut_of
from seemant.models.pretokenize import Cut
from seemant.models.tokenizer import tokenizer_of_metadata
from tests.models.cut_files import cut_metadata, merges_across_words, odd_texts, write_vocabulary

DIFFERENT: dict[Cut, str] = {}
for _name, _cut in CUTS.items():
    if not _cut.spaces_as_letters:
        DIFFERENT.setdefault(_cut, _name)
# Written otherwise, yet the same to every text: \s*[\r\n] is greedy as \s*[\r\n]+ is.
SAME_MEANING = {frozenset(("qwen2", "bailingmoe"))}


@pytest.mark.parametrize("name", sorted(DIFFERENT.values()))
def test_a_cut_gives_llama_cpp_s_ids_on_mixtures_of_scripts(name: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    texts = odd_texts()
    tokens, merges = merges_across_words(texts)
    metadata = cut_metadata(name, tokens, merges)
    ours = tokenizer_of_metadata(metadata)
    with llama_vocabulary(write_vocabulary(tmp_path / "v.gguf", metadata)) as theirs:
        for text in texts:
            assert ours.encode(text) == theirs(text), text


def test_every_name_is_known_to_llama_cpp(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    tokens, merges = merges_across_words(odd_texts()[:2], size=260)
    for name in CUTS:
        metadata = cut_metadata(name, tokens, merges) | {"tokenizer.ggml.bos_token_id": 0}
        with llama_vocabulary(write_vocabulary(tmp_path / "v.gguf", metadata)) as theirs:
            assert theirs("a")


def test_no_two_cuts_take_the_telling_texts_apart_alike() -> None:
    by_expressions: dict[tuple[str, ...], str] = {}
    for cut, name in DIFFERENT.items():
        by_expressions.setdefault(cut.expressions, name)
    words = {name: _of_cut(name) for name in by_expressions.values()}
    alike = {frozenset(two) for two in combinations(words, 2) if words[two[0]] == words[two[1]]}
    assert alike == SAME_MEANING


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadFile, match="'qwen-2'") as caught:
        cut_of("qwen-2")
    assert "qwen2" in str(caught.value)
