"""The written file is compared whole: integers, and the tensors that are kept as floats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seemant.compress.verify import VariantMismatch
from seemant.core.stage import Done
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import write_gguf

NORM = "blk.1.ffn_norm.weight"


def test_a_norm_that_was_written_wrongly_is_found(
    tiny_model: Callable[..., Path],
    compress: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(path: Path, *rest: Any) -> None:
        write_gguf(path, *rest)
        place = path.read_bytes().index(open_gguf(path).tensors[NORM].raw().tobytes())
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\x01")

    monkeypatch.setattr("seemant.compress.variant.write_gguf", wrong)
    with pytest.raises(VariantMismatch, match=f"{NORM} was kept with other values"):
        compress(tiny_model())
