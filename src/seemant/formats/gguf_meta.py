"""GGUF metadata: typed values, read fast and written back with exactly the same types.

The byte layout is that of the GGUF specification, version 3 (ggml docs/gguf.md): little endian;
a string is a u64 length and its bytes; an array is a u32 element type, a u64 count, the elements.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from seemant.core.errors import BadFile

SCALARS: dict[str, tuple[int, str]] = {  # name -> (number in the file, struct letter)
    "uint8": (0, "B"),
    "int8": (1, "b"),
    "uint16": (2, "H"),
    "int16": (3, "h"),
    "uint32": (4, "I"),
    "int32": (5, "i"),
    "float32": (6, "f"),
    "bool": (7, "?"),
    "uint64": (10, "Q"),
    "int64": (11, "q"),
    "float64": (12, "d"),
}
STRING, ARRAY = 8, 9
_NAMES = {number: name for name, (number, _) in SCALARS.items()} | {STRING: "string"}


class MetaValue(NamedTuple):
    """A value and its type in the file: "uint32", "string", ... or "[uint32]" for an array."""

    type: str
    value: Any


def typed(value: Any) -> MetaValue:
    """Return a plain Python value with the type that GGUF files commonly give it.

    int -> uint32 (int32 when negative, 64 bits when it must), float -> float32. Raises:
        TypeError: GGUF has no place for such a value.
    """
    if isinstance(value, MetaValue):
        return value
    if isinstance(value, bool | np.bool_):
        return MetaValue("bool", bool(value))
    if isinstance(value, int | np.integer):
        return MetaValue(_int_type(int(value), int(value)), int(value))
    if isinstance(value, float | np.floating):
        return MetaValue("float32", float(value))
    if isinstance(value, str):
        return MetaValue("string", value)
    if isinstance(value, Sequence | np.ndarray) and len(value):
        kinds = {typed(item).type for item in value}
        if all("int" in kind for kind in kinds):
            kinds = {_int_type(min(value), max(value))}
        if len(kinds) == 1 and not next(iter(kinds)).startswith("["):
            return MetaValue(f"[{kinds.pop()}]", list(value))
    raise TypeError(f"GGUF metadata cannot hold {value!r}")


class Cursor:
    """A position in a buffer; every read is checked against its end."""

    def __init__(self, buffer: memoryview, where: str) -> None:
        self.buffer, self.where, self.at = buffer, where, 0

    def need(self, n_bytes: int, what: str) -> None:
        """Refuse to read past the end."""
        left = len(self.buffer) - self.at
        if n_bytes > left:
            raise BadFile(
                f"a truncated or damaged GGUF file: {what} needs {n_bytes} bytes, {left} are left",
                where=f"{self.where}, byte {self.at}",
                fix="fetch or write the file again",
            )

    def scalar(self, letter: str, what: str) -> Any:
        """Return the next value of a struct letter."""
        size = struct.calcsize("<" + letter)
        self.need(size, what)
        (value,) = struct.unpack_from("<" + letter, self.buffer, self.at)
        self.at += size
        return value

    def string(self, what: str) -> str:
        """Return the next string; bytes that are not UTF-8 survive a rewrite (surrogates)."""
        return self.strings(1, what)[0]

    def strings(self, count: int, what: str) -> list[str]:
        """Return the next `count` strings; the loop is tight, as vocabularies are long."""
        self.need(8 * count, what)
        buffer, at, end = self.buffer, self.at, len(self.buffer)
        length_at = struct.Struct("<Q").unpack_from
        out = []
        for _ in range(count):
            if at + 8 > end:
                break
            stop = at + 8 + length_at(buffer, at)[0]
            if stop > end:
                break
            out.append(str(buffer[at + 8 : stop], "utf-8", "surrogateescape"))
            at = stop
        self.at = at
        if len(out) < count:
            self.need(end - at + 1, what)
        return out

    def meta(self, what: str) -> MetaValue:
        """Return the next typed value."""
        number = self.scalar("I", what)
        if number != ARRAY:
            return self._plain(number, what)
        number, count = self.scalar("I", what), self.scalar("Q", what)
        if number == STRING:
            return MetaValue("[string]", self.strings(count, what))
        if number not in _NAMES:
            raise BadFile(f"{what} is an array of unknown type {number}", where=self.where)
        name = _NAMES[number]
        dtype = np.dtype(SCALARS[name][1]).newbyteorder("<")
        self.need(count * dtype.itemsize, what)
        values = np.frombuffer(self.buffer, dtype, count, self.at).tolist()
        self.at += count * dtype.itemsize
        return MetaValue(f"[{name}]", values)

    def _plain(self, number: int, what: str) -> MetaValue:
        if number == STRING:
            return MetaValue("string", self.string(what))
        if number not in _NAMES:
            raise BadFile(f"{what} has the unknown type {number}", where=self.where)
        name = _NAMES[number]
        return MetaValue(name, self.scalar(SCALARS[name][1], what))


def encode_string(text: str) -> bytes:
    """Return a string as GGUF writes it."""
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def encode_meta(meta: MetaValue) -> bytes:
    """Return a typed value as GGUF writes it: type number, then the value."""
    if not meta.type.startswith("["):
        number, data = _encode_plain(meta.type, meta.value)
        return struct.pack("<I", number) + data
    name, values = meta.type[1:-1], meta.value
    if name == "string":
        head = struct.pack("<IIQ", ARRAY, STRING, len(values))
        return head + b"".join(encode_string(text) for text in values)
    number, letter = SCALARS[name]
    array = np.asarray(values, np.dtype(letter).newbyteorder("<"))
    return struct.pack("<IIQ", ARRAY, number, len(values)) + array.tobytes()


def _encode_plain(name: str, value: Any) -> tuple[int, bytes]:
    if name == "string":
        return STRING, encode_string(value)
    number, letter = SCALARS[name]
    return number, struct.pack("<" + letter, value)


def _int_type(low: int, high: int) -> str:
    if low >= 0:
        return "uint32" if high < 2**32 else "uint64"
    return "int32" if low >= -(2**31) and high < 2**31 else "int64"
