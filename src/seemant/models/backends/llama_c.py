"""llama.cpp's C interface, reached by ctypes in the shared object of the `xllamacpp` wheel.

The only file that knows that wheel's version and layout. The wheel's own Python package is not
imported: its object is opened as a plain C library. Parameter structs travel by value and their
tails change between versions, so they are opaque blocks that llama.cpp's own default functions
fill; of them only the leading, long-stable fields are read or written here.
"""

import ctypes
import importlib.util
import struct
from collections import deque
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_uint32, c_void_p
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from seemant.core.errors import WorldError

WHEEL_VERSION = "2026.10.11549"
_WHEEL = "xllamacpp"
_INSTALL = f"pip install '{_WHEEL}=={WHEEL_VERSION}'"
REINSTALL = f"pip install --force-reinstall '{_WHEEL}=={WHEEL_VERSION}'"

# Offsets in bytes of the fields that we touch; `_check_layout` proves the first four of the
# context's and the GPU layers against llama.cpp's documented defaults.
_MODEL_GPU_LAYERS = 16  # after two pointers
_MODEL_VOCAB_ONLY = 72  # the first of the flags behind the pointers
_CONTEXT_LEADING = 0  # n_ctx, n_batch, n_ubatch, n_seq_max: four uint32
_LEVEL_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_KEPT_ERRORS = 3


class NoLlamaCpp(WorldError):
    """The llama.cpp runtime is absent, of another version, or does not behave as it should."""


class Opaque(ctypes.Structure):
    """A parameter struct by value: 512 bytes, more than any version of these structs has."""

    _fields_ = (("data", ctypes.c_ubyte * 512),)


class Batch(ctypes.Structure):
    """`llama_batch`: tokens with positions, sequences and which of them give logits."""

    _fields_ = (
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        ("embd", POINTER(c_float)),
        ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))),
        ("logits", POINTER(c_int8)),
    )


_LOG_CALLBACK = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)

_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_LOG_CALLBACK, c_void_p]),
    "llama_model_default_params": (Opaque, []),
    "llama_context_default_params": (Opaque, []),
    "llama_model_load_from_file": (c_void_p, [c_char_p, Opaque]),
    "llama_model_free": (None, [c_void_p]),
    "llama_init_from_model": (c_void_p, [c_void_p, Opaque]),
    "llama_free": (None, [c_void_p]),
    "llama_n_ctx": (c_uint32, [c_void_p]),
    "llama_n_ubatch": (c_uint32, [c_void_p]),
    "llama_set_n_threads": (None, [c_void_p, c_int32, c_int32]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_model_n_ctx_train": (c_int32, [c_void_p]),
    "llama_model_is_recurrent": (c_bool, [c_void_p]),
    "llama_model_is_hybrid": (c_bool, [c_void_p]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_vocab_is_eog": (c_bool, [c_void_p, c_int32]),
    "llama_vocab_is_control": (c_bool, [c_void_p, c_int32]),
    "llama_vocab_bos": (c_int32, [c_void_p]),
    "llama_vocab_eos": (c_int32, [c_void_p]),
    "llama_tokenize": (
        c_int32,
        [c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool],
    ),
    "llama_token_to_piece": (c_int32, [c_void_p, c_int32, c_char_p, c_int32, c_int32, c_bool]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_memory_seq_rm": (c_bool, [c_void_p, c_int32, c_int32, c_int32]),
    "llama_memory_seq_cp": (None, [c_void_p, c_int32, c_int32, c_int32, c_int32]),
    "llama_decode": (c_int32, [c_void_p, Batch]),
    "llama_get_logits_ith": (POINTER(c_float), [c_void_p, c_int32]),
    "llama_adapter_lora_init": (c_void_p, [c_void_p, c_char_p]),
    "llama_set_adapters_lora": (
        c_int32,
        [c_void_p, POINTER(c_void_p), ctypes.c_size_t, POINTER(c_float)],
    ),
}


class Library(ctypes.CDLL):
    """The opened shared object, with the callback that llama.cpp logs to."""

    on_log: object = None  # C holds only a bare pointer to it: it must stay alive here
    errors: deque[str]


@cache
def library() -> Library:
    """Return the opened library, checked and silent, with all signatures set.

    Raises:
        NoLlamaCpp: the wheel is absent, of another version, or its structs are laid out otherwise.
    """
    path = _shared_object()
    try:
        lib = Library(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise NoLlamaCpp(f"cannot use llama.cpp: {error}", where=str(path), fix=_INSTALL) from error
    _check_layout(lib, path)
    errors: deque[str] = deque(maxlen=_KEPT_ERRORS)

    def note(level: int, text: bytes | None, data: object) -> None:
        if level == _LEVEL_ERROR and text:
            errors.append(text.decode(errors="replace").strip())

    lib.errors, lib.on_log = errors, _LOG_CALLBACK(note)
    lib.llama_log_set(lib.on_log, None)
    lib.llama_backend_init()
    return lib


def errors_of(lib: Library) -> str:
    """Return what llama.cpp has logged as errors since the last call, as one line."""
    text = "; ".join(lib.errors)
    lib.errors.clear()
    return text


def model_params(lib: Library, *, vocab_only: bool = False) -> Opaque:
    """Return parameters for a model on the CPU, mapped from its file (the default).

    vocab_only: read the vocabulary and no weights.
    """
    params: Opaque = lib.llama_model_default_params()
    _poke(params, _MODEL_GPU_LAYERS, "<i", 0)
    _poke(params, _MODEL_VOCAB_ONLY, "<?", vocab_only)
    return params


def context_params(lib: Library, *, n_ctx: int, n_batch: int, seats: int = 1) -> Opaque:
    """Return parameters for `seats` sequences of `n_ctx` tokens each, `n_batch` at a time.

    Each has a cache of its own (the default): what stands in one changes no bit of another.
    """
    params: Opaque = lib.llama_context_default_params()
    _poke(params, _CONTEXT_LEADING, "<IIII", n_ctx * seats, n_batch, n_batch, seats)
    return params


def _shared_object() -> Path:
    try:
        found = version(_WHEEL)
    except PackageNotFoundError as error:
        raise NoLlamaCpp("the llama.cpp runtime is not installed", fix=_INSTALL) from error
    if found != WHEEL_VERSION:
        raise NoLlamaCpp(
            f"{_WHEEL} {found} is installed; this code is checked against {WHEEL_VERSION} only",
            fix=_INSTALL,
        )
    spec = importlib.util.find_spec(_WHEEL)  # finds the folder, runs none of its code
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    objects = [path for folder in folders for path in sorted(folder.glob(f"{_WHEEL}*.so"))]
    if not objects:
        raise NoLlamaCpp(
            "the llama.cpp wheel holds no shared object for this system",
            where=str(folders[0]) if folders else None,
            fix=REINSTALL,
        )
    return objects[0]


def _check_layout(lib: Library, path: Path) -> None:
    """Compare the fields that we write with the defaults that llama.h documents for them."""
    context = struct.unpack_from("<IIII", bytes(lib.llama_context_default_params().data))
    model = bytes(lib.llama_model_default_params().data)
    (gpu_layers,) = struct.unpack_from("<i", model, _MODEL_GPU_LAYERS)
    if context != (512, 2048, 512, 1) or gpu_layers not in (-1, 999):
        raise NoLlamaCpp(
            "llama.cpp's parameter structs are not laid out as expected "
            f"(context {context}, GPU layers {gpu_layers})",
            where=str(path),
            fix=_INSTALL,
        )


def _poke(params: Opaque, offset: int, form: str, *values: int) -> None:
    struct.pack_into(form, params.data, offset, *values)
