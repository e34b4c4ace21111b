"""Claim: what was optimised, what was measured and what llama.cpp loads are the same integers.

    python benchmarks/gguf_lossless.py [--full] [--only PART ...] [--types ...] [--runs DIR ...]

    values     every type that is written, on real matrices: values chosen against what our reader,
               gguf-py and llama.cpp's own dequantiser read from the packed bytes; differing weights
    files      a whole model in each type (rows that do not fit: llama.cpp's fallback; embedding
               Q8_0) by the stage `compress`; its values once more as F32. KLD of llama.cpp on the
               F32 file against torch on the same values: bar 1e-4. On the quantised file, where
               llama.cpp also rounds activations to 8 bits: reported
    integers   `compress` by method: the hash of the integers as they were chosen against that of
               the integers that gguf-py finds in the file; differing matrices. --runs adds finished
               folders (qat, or any other variant.json). A flipped bit must be noticed

By default a third of the layers, 8,192 rows of the embedding and one chunk a language: about 25
minutes on two cores. --full: everything, four chunks. Finished rows are kept in benchmarks/.work.
"""

import argparse
import ctypes
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from claim import finished, machine, say_claim
from compression.ggml import fitting
from compression.scoring import deployed, reference_of
from compression.texts import real_text, write_calibration
from numpy.typing import NDArray

import seemant
from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE as COMPRESS
from seemant.compress.verify import integers_of
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json
from seemant.core.machine import cores
from seemant.core.records import Lang
from seemant.core.stage import Input, execute, file_input
from seemant.formats.blocks import dequantize_rows
from seemant.formats.ggml_types import block_of
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.tensor_format import (
    NAMES,
    FormatImpossible,
    Search,
    fit_format,
    fits,
    format_of,
    pack_format,
    snap_format,
    value_format,
)
from seemant.models.resolve import resolve

WORK = Path(__file__).parent / ".work" / "gguf_lossless"
KLD_BAR = 1e-4  # both compute in float32; llama.cpp keeps keys and values in fp16
ROWS_AT_ONCE, EMBEDDING_ROWS = 2048, 8192
MODELS: dict[str, tuple[Lang, ...]] = {
    "gemma-3-270m": ("hi", "kn", "en"),
    "smollm2-135m-instruct": ("hi", "en"),
}
METHODS: dict[str, dict[str, Any]] = {
    "rtn": {"format": "q4_1", "fit": "mse"},
    "imatrix": {"format": "q4_0", "fit": "mse"},
    "gptq": {"format": "q5_0", "fit": "mse"},
    "awq": {"method": "rtn", "format": "q4_0", "prepare": "awq"},
    "gptq-act": {"method": "gptq", "format": "q4_0", "order": "act"},
    "sparsegpt": {"format": "q4_0", "sparsity": "2:4"},
}
PARTS = ("values", "files", "integers")


def main() -> int:
    """Measure, print rows, and end with one line of JSON."""
    args = arguments()
    print(machine())
    rows: list[dict[str, Any]] = []
    for model in args.models:
        for part in args.only or PARTS:
            rows += {"values": values, "files": files, "integers": integers}[part](model, args)
    rows += [checked(folder, folder.name, "run") for folder in args.runs]
    klds = [row["value"] for row in rows if row["what"] == "kld, f32"]
    whole = not args.only and all(
        set(asked) == set(every)
        for asked, every in ((args.models, MODELS), (args.types, NAMES), (args.methods, METHODS))
    )
    holds = whole and all(row["holds"] for row in rows)
    say_claim(
        name="gguf_lossless",
        value=max(klds, default=float("nan")),
        bar=KLD_BAR,
        holds=holds,
        n=sum(row["n"] for row in rows if row["what"] == "values"),
        peer="gguf-py and llama.cpp",
        rows=rows,
    )
    return 0 if holds else 1


def values(model: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row a type and search: weights whose value differs in any of three readers."""
    rows = []
    for name in args.types:
        for search in ("minmax",) if name == "f16" else ("minmax", "mse"):
            asked = {"model": model, "type": name, "search": search, "full": args.full}
            rows += kept(f"values-{model}-{name}-{search}", asked, partial(compared, **asked))
    return rows


def compared(*, model: str, type: str, search: Search, full: bool) -> list[dict[str, Any]]:
    """Return one row: weights of a type whose value, when read, is not the one chosen."""
    from gguf import GGMLQuantizationType, quants

    form, file = format_of(type), open_gguf(path_of(model))
    kind = form.container or ""
    n, differ = 0, {"ours": 0, "gguf-py": 0, "llama.cpp": 0}
    for w in matrices(file, type, full):
        params = fit_format(w, form, search=search)
        codes = snap_format(w, params)
        chosen = value_format(codes, params)
        raw = pack_format(codes, params, form)
        read = {
            "ours": dequantize_rows(raw, kind),
            "gguf-py": quants.dequantize(raw, GGMLQuantizationType[kind]),
            "llama.cpp": dequantised(raw, kind),
        }
        n += w.size
        for reader, found in read.items():
            differ[reader] += int((found != chosen).sum())
    worst = max(differ.values())
    row = {"model": model, "what": "values", "type": type, "search": search, "n": n}
    return [row | {"differ": differ, "value": worst, "bar": 0, "holds": worst == 0 < n}]


def matrices(file: GgufFile, name: str, full: bool) -> Iterator[NDArray[np.float32]]:
    """Yield rows of the matrices that the type fits: of a third of the layers, or of all."""
    for tensor in file.tensors.values():
        if len(tensor.shape) != 2:
            continue
        inner = tensor.name.startswith("blk.")
        if inner and not full and int(tensor.name.split(".")[1]) % 3:
            continue
        try:
            fits(format_of(name), tensor.shape[1])
        except FormatImpossible:
            continue
        last = tensor.shape[0] if inner or full else EMBEDDING_ROWS
        for start in range(0, last, ROWS_AT_ONCE):
            yield file.rows(tensor.name, start, min(start + ROWS_AT_ONCE, last))


def files(model: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return two rows a type: KLD of llama.cpp against torch, on F32 and on the file itself."""
    rows = []
    for name in args.types:
        asked = {"model": model, "name": name, "chunks": args.chunks, "length": args.length}
        rows += kept(f"files-{model}-{name}", asked, partial(whole, **asked, threads=args.threads))
    return rows


def whole(*, model: str, name: str, chunks: int, length: int, threads: int) -> list[dict[str, Any]]:
    """Return the two rows of a type, and one that F32 and file hold the same values."""
    file = open_gguf(path_of(model))
    types = {
        each: fitting(name.upper(), t.shape[-1]).lower()
        for each, t in file.tensors.items()
        if len(t.shape) == 2 and each.startswith("blk.")
    }
    config = CompressConfig(
        formats=tuple(f"{each}={kind}" for each, kind in types.items()), name=f"lossless-{name}"
    )
    done = execute(COMPRESS, config, {"model": input_of(model)}, store=WORK / "runs").path
    stored, floats = done / "model.gguf", WORK / "f32.gguf"
    differ = expanded(stored, floats)
    text = real_text(MODELS[model])
    reference = reference_of(floats, text, chunks=chunks, length=length)
    found = {
        what: deployed(path, reference, chunks=chunks, threads=threads)
        for what, path in (("kld, f32", floats), ("kld, file", stored))
    }
    floats.unlink()
    shutil.rmtree(done)
    share = sum(t.n_weights for n, t in file.tensors.items() if types.get(n) == name)
    total = sum(t.n_weights for n, t in file.tensors.items() if n in types)
    facts = {"model": model, "type": name, "n": len(reference.chunks), "share": share / total}
    same = {"what": "values, f32", "value": differ, "bar": 0, "holds": differ == 0}
    rows = [facts | same]
    for what, by_lang in found.items():
        worst = max(by_lang.values())
        judged = what == "kld, f32"
        rows.append(
            facts
            | {"what": what, "value": worst, "bar": KLD_BAR if judged else None, "kld": by_lang}
            | {"holds": not judged or worst <= KLD_BAR}
        )
    return rows


def expanded(stored: Path, to: Path) -> int:
    """Write a file's values as F32; return how many of them gguf-py reads otherwise."""
    from gguf import GGMLQuantizationType, quants

    file = open_gguf(stored)
    differ = 0

    def pieces(name: str) -> Any:
        def run() -> Iterator[NDArray[np.float32]]:
            nonlocal differ
            tensor = file.tensors[name]
            rows = tensor.n_weights // tensor.shape[-1]
            for start in range(0, rows, ROWS_AT_ONCE):
                at = slice(start, min(start + ROWS_AT_ONCE, rows))
                w = file.rows(name, at.start, at.stop)
                kind = GGMLQuantizationType[tensor.type_name]
                raw = np.ascontiguousarray(tensor.raw()[at])
                theirs = raw.view("<f4") if kind.name == "F32" else quants.dequantize(raw, kind)
                differ += int((theirs != w).sum())
                yield w

        return run

    tensors = {n: TensorData("F32", t.shape, pieces(n)) for n, t in file.tensors.items()}
    write_gguf(to, file.fields, tensors)
    return differ


def integers(model: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row a method: matrices whose integers in the file are not those chosen."""
    languages = MODELS[model]
    calibration = write_calibration(real_text(languages), WORK / f"calibration-{model}.jsonl")
    rows = []
    for name in args.methods:
        asked = {"model": model, "name": name, "tokens": args.tokens}
        make = partial(rounded, **asked, calibration=calibration, threads=args.threads)
        rows += kept(f"integers-{model}-{name}", asked, make)
    return rows


def rounded(
    *, model: str, name: str, tokens: int, calibration: Path, threads: int
) -> list[dict[str, Any]]:
    """Return one row: `compress` by a method, its file checked."""
    config = CompressConfig(
        **{"method": name, **METHODS[name]},
        name=f"lossless-{name}",
        languages=MODELS[model],
        calibration_tokens=tokens,
        sequence=256,
        threads=threads,
    )
    given = {"model": input_of(model)}
    if name != "rtn":
        given["calibration"] = file_input(calibration)
    done = execute(COMPRESS, config, given, store=WORK / "runs").path
    row = checked(done, name, "integers") | {"model": model}
    shutil.rmtree(done)
    return [row]


def checked(folder: Path, name: str, what: str) -> dict[str, Any]:
    """Return how many matrices of a variant hold other integers than were chosen.

    The bytes come from gguf-py's reader; the hashes chosen stand in variant.json, taken before
    anything was packed. One flipped bit of one matrix must change its hash.
    """
    from gguf import GGUFReader

    chosen = read_json(folder / "variant.json")["tensors"]
    held = {tensor.name: tensor for tensor in GGUFReader(folder / "model.gguf").tensors}
    differ, noticed = 0, 0
    for tensor, facts in chosen.items():
        form = format_of(facts["format"])
        raw = np.asarray(held[tensor].data).view(np.uint8)
        found = integers_of(raw.reshape(len(raw), -1), form)
        differ += found != facts["integers_sha256"]
        if not noticed:
            torn = raw.reshape(len(raw), -1).copy()
            torn[len(torn) // 2, -1] ^= 1
            noticed = int(integers_of(torn, form) != found)
    return {
        "what": what,
        "method": name,
        "n": len(chosen),
        "value": differ,
        "bar": 0,
        "flipped_bit_noticed": bool(noticed),
        "holds": differ == 0 and bool(noticed),
    }


def dequantised(raw: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Return the values that llama.cpp reads from stored rows."""
    import xllamacpp.xllamacpp as wheel

    if kind == "F16":
        call_name = "ggml_fp16_to_fp32_row"
    else:
        call_name = f"dequantize_row_{kind[:2].lower()}{kind[2:]}"
    library = ctypes.CDLL(wheel.__file__)
    if not hasattr(library, call_name):
        raise SystemExit(f"this build of xllamacpp does not export {call_name}")
    call = getattr(library, call_name)
    call.restype, call.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    weights, n_bytes = block_of(kind)
    raw = np.ascontiguousarray(raw)
    out = np.empty((len(raw), raw.shape[1] // n_bytes * weights), np.float32)
    call(raw.ctypes.data, out.ctypes.data, out.size)
    return out


def kept(
    part: str, asked: Mapping[str, Any], make: Callable[[], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return a part's rows, made now where they are not kept for this very code."""
    folders = (Path(seemant.__file__).parent / room for room in ("formats", "compress"))
    code = [path.read_text("utf-8") for each in folders for path in sorted(each.rglob("*.py"))]
    asked = {**asked, "rooms": json_sha256([*code, Path(__file__).read_text("utf-8")])}
    rows = finished("gguf_lossless", part, asked, make, keep=True)
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


def path_of(model: str) -> Path:
    """Return a model's file."""
    return resolve(f"embedded:{model}", fetch=True).path


def input_of(model: str) -> Input:
    """Return a model as a stage's input."""
    return Input(path_of(model), f"embedded:{model}", model)


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="every layer, four chunks")
    parser.add_argument("--only", nargs="+", default=[], choices=PARTS)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--types", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--runs", nargs="+", default=[], type=Path, help="finished variants")
    parser.add_argument("--chunks", type=int, default=1, help="a language, through llama.cpp")
    parser.add_argument("--length", type=int, default=256, help="tokens of a chunk")
    parser.add_argument("--tokens", type=int, default=1024, help="of calibration, a language")
    parser.add_argument("--threads", type=int, default=cores())
    args = parser.parse_args()
    if args.full:
        args.chunks = max(args.chunks, 4)
    return args


if __name__ == "__main__":
    sys.exit(main())
