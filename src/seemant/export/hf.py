"""The same weights as a Hugging Face folder: fp32 safetensors, tokenizer, config.

fp32, because export changes no value: fp16 would round what the GGUF file's scales give.
"""

import os
import re
import shutil
from pathlib import Path

from seemant.core.os_errors import from_os_error

_BESIDE = ("tokenizer*", "special_tokens*", "*.jinja", "chat_template*", "generation_config*")


def write_hf(model: Path, out: Path, adapter: Path | None) -> None:
    """Write the dequantised weights of a GGUF file, with an adapter merged, all in fp32.

    Raises:
        BadFile: the model or the adapter cannot be read.
        DiskFull, NoPermission: the system refused; nothing half-written is left.
    """
    from safetensors import SafetensorError

    from seemant.models.expand import expand
    from seemant.models.load import load_torch

    loaded = load_torch(model, adapter=adapter)
    unfinished = out.with_name(f".{out.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    try:
        loaded.model.save_pretrained(unfinished, safe_serialization=True)
        folder = expand(model)
        for pattern in _BESIDE:
            for file in folder.glob(pattern):
                shutil.copyfile(file, unfinished / file.name)
        unfinished.replace(out)
    except OSError as error:
        raise from_os_error(error, out) from error
    except SafetensorError as error:
        said = re.search(r"\(os error (\d+)\)", str(error))  # all that the library tells
        if said is None:
            raise
        number = int(said[1])
        raise from_os_error(OSError(number, os.strerror(number)), out) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
