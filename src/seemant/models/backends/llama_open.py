"""A model file and an adapter opened in llama.cpp, or told why not."""

from ctypes import c_float, c_void_p
from pathlib import Path

from seemant.core.errors import BadFile
from seemant.models.backends.llama_c import Library, errors_of, model_params


def load_model(lib: Library, path: Path) -> int:
    """Return llama.cpp's handle of a model file, mapped from the disk.

    Raises:
        BadFile: the file is missing, damaged, or a model whose state cannot be cut back.
    """
    if not path.is_file():
        raise BadFile("no such model file", where=str(path), fix="check the path")
    model = lib.llama_model_load_from_file(str(path).encode(), model_params(lib))
    if not model:
        raise BadFile(
            "llama.cpp cannot load this file: " + errors_of(lib),
            where=str(path),
            fix="it must be a whole GGUF file of a known architecture; fetch or make it again",
        )
    if lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model):
        lib.llama_model_free(model)
        raise BadFile(
            "a recurrent model: its state cannot be cut back to a shared prefix",
            where=str(path),
            fix="use a model of attention layers alone (Llama, Qwen, Gemma)",
        )
    return int(model)


def load_adapter(lib: Library, model: int, path: Path) -> int:
    """Return llama.cpp's handle of a GGUF LoRA file; it is freed with its model.

    Raises:
        BadFile: the file is missing, or for another model.
    """
    if not path.is_file():
        raise BadFile("no such adapter file", where=str(path), fix="check the path")
    adapter = lib.llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        raise BadFile(
            "llama.cpp cannot use this adapter: " + errors_of(lib),
            where=str(path),
            fix="use the base model that the adapter was trained on",
        )
    return int(adapter)


def use_adapter(lib: Library, context: int, adapter: int) -> None:
    """Add the adapter to a context's model, at scale 1."""
    adapters, scales = (c_void_p * 1)(adapter), (c_float * 1)(1.0)
    lib.llama_set_adapters_lora(context, adapters, 1, scales)
