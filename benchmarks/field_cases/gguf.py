"""GGUF files as people have them: parts, numbers by layer, what is no model, what is damaged.

Each is given to three commands that read a model in different ways; none may end in a traceback,
and none may measure or answer from a part of a model.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from field_cases.place import Case, Done, Place, refused, went_well
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.backends.tiny import write_tiny

Fields, Tensors = dict[str, MetaValue], dict[str, TensorData]


def by_three(place: Place, file: Path) -> dict[str, Done]:
    """Give a file to chat, compress and bench."""
    return {
        "chat": place.seemant("chat", file, "--message", "the", "--max-new-tokens", "4"),
        "compress": place.seemant("compress", file, "--bits", "8", "--out", place.w / "compressed"),
        "bench": place.seemant("bench", file, "--repeats", "1", "--out", place.w / "speed"),
    }


def all_refuse(place: Place, file: Path, *words: str) -> str | None:
    """Say which command did not refuse a file in one sentence with these words."""
    for name, done in by_three(place, file).items():
        if (seen := refused(done, *words)) is not None:
            return f"{name}: {seen}"
    return None


def all_read(place: Place, file: Path) -> str | None:
    """Say which command did not read a file."""
    for name, done in by_three(place, file).items():
        if (seen := went_well(done)) is not None:
            return f"{name}: {seen}"
    return None


def shared(
    name: str, check: Callable[..., str | None], *words: str
) -> Callable[[Place], str | None]:
    """Return a check of one of the shared inputs."""

    def run(place: Place) -> str | None:
        if (seen := went_well(place.python("gguf_kinds.py", place.w / "g"))) is not None:
            return seen
        return check(place, place.w / "g" / f"{name}.gguf", *words)

    return run


def changed(
    change: Callable[[Fields, Tensors], None], check: Callable[..., str | None], *words: str
) -> Callable[[Place], str | None]:
    """Return a check of a tiny model with changed metadata or tensors."""

    def run(place: Place) -> str | None:
        write_tiny(place.w / "tiny.gguf")
        file = open_gguf(place.w / "tiny.gguf")
        fields = dict(file.fields)
        tensors = {n: TensorData(t.type_name, t.shape, t.raw()) for n, t in file.tensors.items()}
        change(fields, tensors)
        write_gguf(place.w / "odd.gguf", fields, tensors)
        return check(place, place.w / "odd.gguf", *words)

    return run


def bytes_of(
    change: Callable[[bytes], bytes], check: Callable[..., str | None], *words: str
) -> Callable[[Place], str | None]:
    """Return a check of a tiny model whose bytes were changed."""

    def run(place: Place) -> str | None:
        write_tiny(place.w / "tiny.gguf")
        (place.w / "odd.gguf").write_bytes(change((place.w / "tiny.gguf").read_bytes()))
        return check(place, place.w / "odd.gguf", *words)

    return run


def put(key: str, type_name: str, value: Any) -> Callable[[Fields, Tensors], None]:
    """Return a change that sets one entry of the metadata."""

    def change(fields: Fields, tensors: Tensors) -> None:
        fields[key] = MetaValue(type_name, value)

    return change


def drop(*keys: str) -> Callable[[Fields, Tensors], None]:
    """Return a change that removes entries of the metadata."""

    def change(fields: Fields, tensors: Tensors) -> None:
        for key in keys:
            fields.pop(key)

    return change


def only_lora(fields: Fields, tensors: Tensors) -> None:
    """Leave what a LoRA file holds."""
    for key in [k for k in fields if not k.startswith("general.arch")]:
        fields.pop(key)
    fields |= {
        "general.type": MetaValue("string", "adapter"),
        "adapter.type": MetaValue("string", "lora"),
        "adapter.lora.alpha": MetaValue("float32", 8.0),
    }
    kept = tensors.pop("blk.0.attn_q.weight")
    tensors.clear()
    tensors |= {f"blk.0.attn_q.weight.lora_{end}": kept for end in "ab"}


def projector(fields: Fields, tensors: Tensors) -> None:
    """Make it the vision part of a model."""
    fields["general.architecture"] = MetaValue("string", "clip")
    fields["general.type"] = MetaValue("string", "mmproj")


def importance(fields: Fields, tensors: Tensors) -> None:
    """Make it an importance matrix, as llama.cpp writes them."""
    for key in list(fields):
        fields.pop(key)
    fields["general.type"] = MetaValue("string", "imatrix")


def lacks(name: str) -> Callable[[Fields, Tensors], None]:
    """Return a change that leaves a tensor out."""

    def change(fields: Fields, tensors: Tensors) -> None:
        tensors.pop(name)

    return change


CASES = [
    Case(
        "16", "the first of two shards", shared("model-00001-of-00002", all_refuse, "shard 1 of 2")
    ),
    Case("16", "the second shard", shared("model-00002-of-00002", all_refuse, "shard 2 of 2")),
    Case(
        "16",
        "a shard under a plain name, counts in 32 bits",
        changed(put("split.count", "uint32", 3), all_refuse, "of 3"),
    ),
    Case("16", "a split of one is whole", changed(put("split.count", "uint16", 1), all_read)),
    *(
        Case("17", f"{name}, all equal", shared(name, all_read))
        for name in ("kv_array", "heads_array", "ff_array", "eos_neg", "rope_none")
    ),
    *(
        Case(
            "17",
            f"{name} is no traceback",
            shared(name, lambda place, file: no_traceback(place, file)),
        )
        for name in ("rope_linear_nofactor", "no_scores_name", "bos_missing", "ctx_u64")
    ),
    Case(
        "17",
        "layers of different heads",
        changed(
            put("llama.attention.head_count_kv", "[int32]", [2, 1]), all_refuse, "head_count_kv"
        ),
    ),
    Case(
        "17",
        "layers of different width, unsigned",
        changed(
            put("llama.feed_forward_length", "[uint32]", [96, 64]),
            all_refuse,
            "feed_forward_length",
        ),
    ),
    Case("gguf", "a LoRA as a model", changed(only_lora, all_refuse, "adapter")),
    Case("gguf", "a vision part as a model", changed(projector, all_refuse, "mmproj")),
    Case("gguf", "an importance matrix as a model", changed(importance, all_refuse)),
    Case("gguf", "no width in the metadata", changed(drop("llama.embedding_length"), all_refuse)),
    Case("gguf", "no embedding", changed(lacks("token_embd.weight"), all_refuse, "embd")),
    Case("gguf", "a block's matrix lacks", changed(lacks("blk.1.ffn_up.weight"), all_refuse)),
    Case("gguf", "cut short", bytes_of(lambda raw: raw[: len(raw) * 2 // 3], all_refuse)),
    Case("gguf", "version 1", bytes_of(lambda raw: _version(raw, "<I", 1), all_refuse, "version")),
    Case(
        "gguf", "big-endian", bytes_of(lambda raw: _version(raw, ">I", 3), all_refuse, "big-endian")
    ),
    Case(
        "gguf", "a page of HTML", bytes_of(lambda raw: b"<!doctype html><p>404", all_refuse, "GGUF")
    ),
    Case("gguf", "an empty file", bytes_of(lambda raw: b"", all_refuse, "GGUF")),
    Case(
        "gguf",
        "a pointer of git lfs",
        bytes_of(lambda raw: b"version https://git-lfs.github.com/spec/v1\n", all_refuse, "GGUF"),
    ),
]


def no_traceback(place: Place, file: Path) -> str | None:
    """Say which command ended in a traceback or in an exit that means nothing."""
    for name, done in by_three(place, file).items():
        if "Traceback" in done.said or done.code not in (0, 2):
            return f"{name}: exit {done.code}: {done.said[-200:]!r}"
    return None


def _version(raw: bytes, form: str, number: int) -> bytes:
    return raw[:4] + struct.pack(form, number) + raw[8:]
