"""llama.cpp's own tokenizer of a file, without the model's weights: the oracle for ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_int32
from pathlib import Path

from seemant.core.errors import BadFile
from seemant.models.backends.llama_c import errors_of, library, model_params


@contextmanager
def llama_vocabulary(path: Path) -> Iterator[Callable[[str], list[int]]]:
    """Yield a function from text to llama.cpp's ids, special tokens read and BOS as the file says.

    Raises:
        BadFile: llama.cpp cannot read the file's vocabulary. NoLlamaCpp: there is no llama.cpp.
    """
    lib = library()
    model = lib.llama_model_load_from_file(str(path).encode(), model_params(lib, vocab_only=True))
    if not model:
        raise BadFile(
            "llama.cpp cannot read this file's vocabulary: " + errors_of(lib),
            where=str(path),
            fix="fetch or make the file again",
        )
    vocabulary = lib.llama_model_get_vocab(model)

    def encode(text: str) -> list[int]:
        data = text.encode()
        room = (c_int32 * (len(data) + 16))()
        n = lib.llama_tokenize(vocabulary, data, len(data), room, len(room), True, True)
        return list(room[:n])

    try:
        yield encode
    finally:
        lib.llama_model_free(model)
