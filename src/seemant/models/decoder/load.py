"""A decoder over frozen matrices, from a GGUF file, an HF folder or a seed; never a float copy.

Memory while loading is the codes so far and one block of rows. transformers is not imported.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from seemant.core.hashing import file_sha256
from seemant.core.jsonl import read_json
from seemant.formats.gguf_read import open_gguf
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.folder_weights import folder_weights
from seemant.models.decoder.gguf_weights import gguf_weights
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.shape import DecoderShape, shape_of_config
from seemant.models.decoder.weights import Weights, random_weights
from seemant.models.frozen.build import frozen
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch
from seemant.models.prompts import Template, template_of, template_of_metadata
from seemant.models.resolve import weights_in
from seemant.models.tokenizer import Tokenizer, tokenizer_of_folder, tokenizer_of_metadata

Compute = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class LoadedDecoder:
    """A frozen decoder and what belongs to it.

    tokenizer, template: None for random weights, or where they were not asked for.
    sha256: of the GGUF file; a folder or random weights have none.
    """

    decoder: Decoder
    tokenizer: Tokenizer | None
    template: Template | None
    n_vocab: int
    tied: bool
    sha256: str | None


def load_decoder(
    path: Path,
    *,
    base: str = "float",
    embedding: str = "float",
    compute: Compute = "float32",
    words: bool = True,
) -> LoadedDecoder:
    """Return the decoder in a GGUF file or an HF folder (a family of `families`).

    path: the file, the folder, or an artefact's folder that holds `model.gguf`.
    base, embedding: how the blocks' linears, and embedding and head, are held: a kind of
        `frozen.build`, or "float": the compute type.
    words: whether the tokenizer and the template are read, too; a large vocabulary takes
        hundreds of megabytes for a moment.

    Raises:
        BadFile: damaged, of another family, or tensors that do not fit the model.
        BadConfig: no such kind of matrix.
    """
    path = weights_in(path)
    if path.is_dir():
        tokenizer = tokenizer_of_folder(path) if words else None
        template = template_of(path) if words else None
        decoder = frozen_decoder(folder_weights(path), base, embedding, compute)
        return _loaded(decoder, tokenizer, template, None)
    file = open_gguf(path)
    tokenizer = tokenizer_of_metadata(file.metadata, str(path)) if words else None
    template = template_of_metadata(file.metadata) if words else None
    weights = gguf_weights(file)
    for vocabulary in (file.metadata, file.fields):  # Python strings, not needed any more
        vocabulary.clear()
    decoder = frozen_decoder(weights, base, embedding, compute)
    return _loaded(decoder, tokenizer, template, file_sha256(path))


def random_decoder(
    config: Path,
    *,
    base: str = "float",
    embedding: str = "float",
    compute: Compute = "float32",
    seed: int = 0,
) -> LoadedDecoder:
    """Return the decoder of a shipped `config.json`, its weights drawn from `seed`.

    Raises:
        BadFile: no such file, or a configuration that is not read here.
    """
    weights = random_weights(shape_of_config(read_json(config)), seed)
    return _loaded(frozen_decoder(weights, base, embedding, compute), None, None, None)


def frozen_decoder(weights: Weights, base: str, embedding: str, compute: Compute) -> Decoder:
    """Return a decoder over these weights, nothing in it trained, one scratch for all its linears.

    Tensors are taken one after another, a block of rows at a time.
    """
    shape, scratch = weights.shape, Scratch()
    parts: dict[str, nn.Module] = {}
    for name, size in shape.tensors().items():
        module, _, kind = name.rpartition(".")
        if kind == "bias":
            continue  # with its weight
        if module in ("model.embed_tokens", "lm_head"):
            parts[module] = _matrix(weights, name, embedding, compute)
        elif len(size) == 1:
            parts[module] = norm_of(weights, module, trained=False)
        else:
            bias = f"{module}.bias"
            parts[module] = FrozenLinear(
                _matrix(weights, name, base, compute),
                weights.whole(bias) if bias in weights.blocks else None,
                scratch,
            )
    dtype: torch.dtype = getattr(torch, compute)
    return Decoder(shape, parts, compute=dtype, scratch=scratch).eval()


def norm_of(weights: Weights, module: str, *, trained: bool) -> RmsNorm:
    """Return one norm; Gemma's multiply by 1 + w."""
    shape: DecoderShape = weights.shape
    shift = 1.0 if shape.gemma_norms else 0.0
    return RmsNorm(weights.whole(f"{module}.weight"), shape.eps, shift=shift, trained=trained)


def _matrix(weights: Weights, name: str, kind: str, compute: Compute) -> FrozenMatrix:
    rows, columns = weights.shape.tensors()[name]
    return frozen(
        compute if kind == "float" else kind, (rows, columns), weights.blocks[name](), name=name
    )


def _loaded(
    decoder: Decoder, tokenizer: Tokenizer | None, template: Template | None, sha256: str | None
) -> LoadedDecoder:
    shape = decoder.shape
    return LoadedDecoder(decoder, tokenizer, template, shape.vocab, shape.tied, sha256)
