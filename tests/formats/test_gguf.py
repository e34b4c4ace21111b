"""GGUF files: exact round trips, gguf-py as second reader, and every kind of damage."""

import hashlib
import struct
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, quants
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.core.errors import BadFile, DiskFull
from seemant.formats.gguf_meta import Cursor, MetaValue, encode_meta, typed
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf

FIELDS = {
    "general.architecture": MetaValue("string", "llama"),
    "a.u8": MetaValue("uint8", 255),
    "a.i8": MetaValue("int8", -128),
    "a.u16": MetaValue("uint16", 65535),
    "a.i16": MetaValue("int16", -5),
    "a.u32": MetaValue("uint32", 2**32 - 1),
    "a.i32": MetaValue("int32", -7),
    "a.u64": MetaValue("uint64", 2**64 - 1),
    "a.i64": MetaValue("int64", -(2**63)),
    "a.f32": MetaValue("float32", float(np.float32(1e-6))),
    "a.f64": MetaValue("float64", 0.1),
    "a.bool": MetaValue("bool", True),
    "tokens": MetaValue("[string]", ["<pad>", "भारत", "ಕನ್ನಡ", ""]),
    "scores": MetaValue("[float32]", [0.0, -1.5, float(np.float32(0.1))]),
    "types": MetaValue("[int32]", [-1, 3]),
    "flags": MetaValue("[bool]", [True, False]),
    "none": MetaValue("[int32]", []),
}


def tensors() -> dict[str, TensorData]:
    rng = np.random.default_rng(0)
    norm = rng.standard_normal(64).astype(np.float32)
    matrix = rng.standard_normal((6, 64)).astype(np.float32)
    out = {"norm": TensorData("F32", (64,), norm)}
    for name in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "BF16", "F16"):
        raw = quants.quantize(matrix, GGMLQuantizationType[name]).view(np.uint8)
        out[f"m.{name}"] = TensorData(name, (6, 64), raw)
    return out


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "tiny.gguf", FIELDS, tensors())
    return tmp_path / "tiny.gguf"


def test_metadata_and_tensors_come_back_exactly(tiny: Path) -> None:
    file = open_gguf(tiny)
    assert file.fields == FIELDS
    assert file.metadata["tokens"][1] == "भारत"
    for name, given_ in tensors().items():
        assert file.tensors[name].shape == given_.shape
        assert file.tensors[name].raw().tobytes() == np.asarray(given_.data).tobytes()


def test_writing_what_was_read_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    file = open_gguf(tiny)
    again = {n: TensorData(t.type_name, t.shape, t.raw()) for n, t in file.tensors.items()}
    write_gguf(tmp_path / "again.gguf", file.fields, again)
    assert (tmp_path / "again.gguf").read_bytes() == tiny.read_bytes()


def test_gguf_py_reads_the_same_file(tiny: Path) -> None:
    ours, theirs = open_gguf(tiny), GGUFReader(tiny)
    for key, meta in FIELDS.items():
        field = theirs.get_field(key)
        assert field is not None
        if meta.value != []:
            assert field.contents() == meta.value, key
    for tensor in theirs.tensors:
        values = quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(ours.dequantize(tensor.name), values)


def test_row_slices_equal_the_rows_of_the_whole(tiny: Path) -> None:
    file = open_gguf(tiny)
    for name in ("m.Q8_0", "m.Q4_1", "m.BF16"):
        np.testing.assert_array_equal(file.rows(name, 2, 5), file.dequantize(name)[2:5])


def test_k_quants_are_read_as_gguf_py_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    raw = rng.integers(0, 60, (4, 144), dtype=np.uint8)
    write_gguf(tmp_path / "k.gguf", {}, {"w": TensorData("Q4_K", (4, 256), raw)})
    theirs = quants.dequantize(raw, GGMLQuantizationType.Q4_K)
    np.testing.assert_array_equal(open_gguf(tmp_path / "k.gguf").dequantize("w"), theirs)


def test_a_tensor_may_be_made_while_it_is_written(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    streamed = TensorData("F32", (3, 4), lambda: (row for row in rows))
    write_gguf(tmp_path / "s.gguf", {}, {"w": streamed})
    np.testing.assert_array_equal(open_gguf(tmp_path / "s.gguf").dequantize("w"), rows)


def test_bytes_that_do_not_fit_the_shape_leave_nothing_behind(tmp_path: Path) -> None:
    short = TensorData("F32", (3, 4), np.zeros(11, np.float32))
    with pytest.raises(ValueError, match="44 bytes given, 48 expected"):
        write_gguf(tmp_path / "s.gguf", {}, {"w": short})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def full() -> list[bytes]:
        raise OSError(28, "No space left on device")  # as a write says it: without a name

    with pytest.raises(DiskFull, match="no space left") as caught:
        write_gguf(tmp_path / "s.gguf", {}, {"w": TensorData("F32", (3, 4), full)})
    assert caught.value.where == str(tmp_path / "s.gguf")
    assert list(tmp_path.iterdir()) == []


def test_every_truncation_is_a_clear_error(tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(0, len(whole) - 32, 7):  # the last bytes are padding
        cut.write_bytes(whole[:length])
        with pytest.raises(BadFile) as caught:
            open_gguf(cut)
        assert "cut.gguf" in str(caught.value)


@given(st.integers(0, 700), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_one_wrong_byte_never_crashes_the_reader(at: int, byte: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.gguf"
        write_gguf(path, FIELDS, tensors())
        data = bytearray(path.read_bytes())
        data[at] = byte
        path.write_bytes(data)
        try:
            file = open_gguf(path)
        except BadFile:
            return
        assert all(t.raw().nbytes == t.n_bytes for t in file.tensors.values())


def test_what_is_not_gguf_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"PK\3\4 a zip")
    with pytest.raises(BadFile, match="not a GGUF file"):
        open_gguf(tmp_path / "x.gguf")
    with pytest.raises(BadFile, match="no such file"):
        open_gguf(tmp_path / "none.gguf")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (struct.pack("<IQQ", 1, 0, 0), "GGUF version 1 cannot be read"),
        (struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (struct.pack("<IQQ", 3, 2**60, 0), "a table of 1152921504606846976 tensors"),
        (struct.pack("<IQQ", 3, 0, 2**60), "a table of 1152921504606846976 metadata entries"),
        (struct.pack("<IQQQ", 3, 0, 1, 2**40) + b"\0" * 32, "the key of metadata entry 0"),
    ],
)
def test_absurd_headers_are_refused(tmp_path: Path, head: bytes, message: str) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + head)
    with pytest.raises(BadFile, match=message):
        open_gguf(tmp_path / "x.gguf")


def test_plain_values_get_the_usual_types() -> None:
    assert typed(True).type == "bool"
    assert typed(5).type == "uint32"
    assert typed(-5).type == "int32"
    assert typed(2**40).type == "uint64"
    assert typed(0.5).type == "float32"
    assert typed([1, -2]).type == "[int32]"
    assert typed(["a"]).type == "[string]"
    with pytest.raises(TypeError):
        typed([1, "a"])


@given(st.binary(max_size=20).map(lambda b: b.decode("utf-8", "surrogateescape")))
def test_strings_survive_whatever_their_bytes(text: str) -> None:
    data = encode_meta(MetaValue("string", text))
    assert Cursor(memoryview(data), "here").meta("it") == MetaValue("string", text)


@pytest.mark.real
def test_gemma_opens_in_a_second_and_is_written_back_identically(
    gemma_gguf: Path, tmp_path: Path
) -> None:
    start = time.process_time()
    file = open_gguf(gemma_gguf)
    assert time.process_time() - start < 1.0
    assert len(file.metadata["tokenizer.ggml.tokens"]) == 262_144
    again = {n: TensorData(t.type_name, t.shape, t.raw()) for n, t in file.tensors.items()}
    write_gguf(tmp_path / "again.gguf", file.fields, again)
    assert sha256(tmp_path / "again.gguf") == sha256(gemma_gguf)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
