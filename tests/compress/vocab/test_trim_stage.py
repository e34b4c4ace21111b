"""The stage "trim": a smaller file that both engines read, and what it costs, by language."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seemant.compress.vocab.config import TrimConfig
from seemant.compress.vocab.cost import fitting
from seemant.compress.vocab.run import STAGE
from seemant.compress.vocab.texts import parts_of
from seemant.core.errors import BadFile
from seemant.core.stage import Done, execute, file_input
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import write_gguf
from seemant.models.backends.open import open_backend
from seemant.models.backends.protocol import Sampling
from seemant.models.backends.tiny import write_tiny
from seemant.models.resolve import resolve
from seemant.models.tokenizer import tokenizer_of_metadata

Trim = Callable[..., Done]
ENGLISH = [f"the bat sat at a tall gate {n % 10} and ran" for n in range(100)]
HINDI = [f"नदी का पानी {n % 10} है" for n in range(60)]
MERGES = ("a t", "Ġ b", "Ġb at", "x x", "xx x", "q q", "Ġ z")


def model(path: Path, *, bos: bool = True) -> Path:
    """The tiny model with some merged tokens of which the text uses only a few."""
    write_tiny(path)
    file = open_gguf(path)
    fields = dict(file.fields)
    tokens = list(fields["tokenizer.ggml.tokens"].value)
    merges = list(fields["tokenizer.ggml.merges"].value) + list(MERGES)
    added = [merge.replace(" ", "") for merge in MERGES]
    fields["tokenizer.ggml.tokens"] = MetaValue("[string]", tokens + added)
    types = fields["tokenizer.ggml.token_type"].value
    fields["tokenizer.ggml.token_type"] = MetaValue("[int32]", [*types, *[1] * len(added)])
    fields["tokenizer.ggml.merges"] = MetaValue("[string]", merges)
    fields["llama.vocab_size"] = MetaValue("uint32", len(tokens) + len(added))
    if not bos:
        del fields["tokenizer.ggml.bos_token_id"], fields["tokenizer.ggml.add_bos_token"]
    tensors = {}
    for name in file.tensors:
        values = file.dequantize(name)
        if name in ("token_embd.weight", "output.weight"):
            values = np.concatenate([values, values[: len(added)] * np.float32(0.5)])
        tensors[name] = ("F32", values.shape, values)
    write_gguf(path, fields, tensors)
    return path


@pytest.fixture
def trim(tmp_path: Path) -> Trim:
    """Run the stage on a model and lines of text."""

    def run(path: Path, lines: list[str] | Path, **settings: object) -> Done:
        text = lines if isinstance(lines, Path) else tmp_path / "text.txt"
        if isinstance(lines, list):
            text.write_text("\n".join(lines), encoding="utf-8")
        given = {"model": file_input(path, "path:tiny.gguf"), "paragraphs": file_input(text)}
        config = TrimConfig.model_validate({"scored": 9, **settings})
        return execute(STAGE, config, given, store=tmp_path / "runs")

    return run


def test_rows_the_text_uses_stay_bit_for_bit_and_the_cost_is_measured(
    tmp_path: Path, trim: Trim
) -> None:
    path = model(tmp_path / "m.gguf")
    done = trim(path, ENGLISH + HINDI)
    old, new = open_gguf(path), open_gguf(done.path / "model.gguf")
    tokens, kept = (f.metadata["tokenizer.ggml.tokens"] for f in (old, new))
    assert {"at", "Ġb", "Ġbat"} <= set(kept) and not {"xx", "xxx", "qq", "Ġz"} & set(kept)
    for name in ("token_embd.weight", "output.weight"):
        rows = old.tensors[name].raw()[[tokens.index(token) for token in kept]]
        assert (new.tensors[name].raw() == rows).all()
    assert "Modified from tiny" in new.metadata["general.description"]
    found = {(m.metric, m.lang, m.conditions.get("part")): m for m in done.manifest.measurements}
    assert found["rows_kept", None, None].value == len(kept)
    assert found["file_bytes", None, None].value == (done.path / "model.gguf").stat().st_size
    for lang in ("hi", "en"):
        assert found["tokens_outside", lang, None].value == 0
        before, after = (found["nats_per_byte", lang, p] for p in ("before", "after"))
        assert before.ci_low is not None and before.n_clusters == 9
        ratio = found["nats_ratio", lang, None].value
        assert ratio == pytest.approx(after.value / before.value) and ratio < 1  # fewer rivals
    report = json.loads((done.path / "trim.json").read_text())
    assert report["rows_before"] - report["rows_kept"] == len(tokens) - len(kept)
    assert sum(report["rows_kept_by_reason"].values()) == len(kept)
    assert report["languages"] == ["hi", "en"]


def test_words_asked_for_stay_and_rare_tokens_can_be_dropped(tmp_path: Path, trim: Trim) -> None:
    path = model(tmp_path / "m.gguf")
    lines = ["the first", "xxx once", *ENGLISH]  # every fourth line is held out
    found = {}
    for name, settings in {
        "all": {},
        "often": {"at_least": 5},
        "kept": {"at_least": 5, "keep": ("xxx", "z")},
    }.items():
        done = trim(path, lines, scored=0, **settings)
        found[name] = set(open_gguf(done.path / "model.gguf").metadata["tokenizer.ggml.tokens"])
    assert "xxx" in found["all"] and "xxx" not in found["often"]
    assert {"xxx", "xx", "Ġz"} <= found["kept"]


def test_both_engines_read_the_file_and_agree_on_ids_and_probabilities(
    tmp_path: Path, trim: Trim
) -> None:
    done = trim(model(tmp_path / "m.gguf"), ENGLISH, scored=0)
    text = "the bat at a xxx gate नदी"
    rows, ids, texts = [], [], []
    for kind in ("llamacpp", "torch"):
        with open_backend(done.path, kind=kind, strict=True) as backend:
            ids.append(backend.encode(text))
            rows.append(np.concatenate(list(backend.logprobs(ids[-1], 1))))
            texts.append(backend.generate("the bat", Sampling(max_new_tokens=8)).text)
    assert ids[0] == ids[1] and texts[0] == texts[1] and texts[0]
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-3)
    metadata = open_gguf(done.path / "model.gguf").metadata
    assert rows[0].shape[1] == len(metadata["tokenizer.ggml.tokens"])
    assert tokenizer_of_metadata(metadata).decode(ids[0]) == text


def test_a_compressed_model_is_trimmed_and_the_result_is_a_model(
    tmp_path: Path, trim: Trim, compress: Callable[..., Done]
) -> None:
    variant = compress(model(tmp_path / "m.gguf"))
    done = trim(variant.path, ENGLISH, scored=0)
    types = {n: t.type_name for n, t in open_gguf(done.path / "model.gguf").tensors.items()}
    assert types["token_embd.weight"] == "Q8_0" and types["blk.0.attn_q.weight"] == "Q4_0"
    assert resolve(f"run:{done.path}").path == done.path / "model.gguf"


def test_a_tokenizer_without_bos_is_measured_from_eos(tmp_path: Path, trim: Trim) -> None:
    done = trim(model(tmp_path / "m.gguf", bos=False), ENGLISH)
    assert any(m.metric == "nats_ratio" for m in done.manifest.measurements)


@pytest.mark.parametrize(
    ("lines", "settings", "words"),
    [
        (["the bat"], {}, ["too little text", "hi (Devanagari): 0 tokens", "thousands"]),
        (["the bat"], {}, ["en (Latin): 0 tokens in 0 of 1 paragraphs", "every fourth paragraph"]),
        (ENGLISH, {"languages": ("en", "kn")}, ["kn (Kannada): 0 tokens;"]),
        (["12 34", "ภาษาไทย"] * 200, {}, ["known script", "Devanagari"]),
        ([""], {}, ["known script"]),
    ],
)
def test_text_that_cannot_choose_is_refused_and_no_model_is_left(
    tmp_path: Path, trim: Trim, lines: list[str], settings: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(BadFile) as caught:
        trim(model(tmp_path / "m.gguf"), lines, **settings)
    for word in words:
        assert word in str(caught.value)
    assert not list((tmp_path / "runs").rglob("model.gguf*"))


def test_a_corpus_artefact_is_split_as_it_says(tmp_path: Path) -> None:
    for name, text in (("distil", "a b"), ("calibration", "c d"), ("heldout", "e f")):
        line = {"id": name, "lang": "en", "text": text}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    parts = parts_of(tmp_path)
    assert parts.choosing.paragraphs == {"en": ["a b", "c d"]}
    assert parts.held_out.paragraphs == {"en": ["e f"]}


def test_long_paragraphs_are_cut_to_what_both_tokenizers_fit(tmp_path: Path) -> None:
    tokenizer = tokenizer_of_metadata(open_gguf(model(tmp_path / "m.gguf")).metadata)
    long = "ಕನ್ನಡ ನಾಡು " * 400
    short = fitting(long, [tokenizer])
    assert long.startswith(short) and 100 < len(tokenizer.encode(short, False)) < 1024
    assert fitting("a b", [tokenizer]) == "a b"
    assert len(tokenizer.encode(fitting("ಕ" * 5000, [tokenizer]), False)) < 1024
