"""Folders of real models as the Hub and people's disks have them."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from field_cases.place import Case, Place, refused, went_well

sys.path.insert(0, str(Path(__file__).parents[1]))

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
UP = "model.layers.0.mlp.up_proj.weight"


def _folder(place: Place, kind: str = "qwen2") -> Path:
    place.python("real_cuts.py", "w/h")
    return place.w / "h" / kind


def _published(place: Place, row: str) -> Path:
    from family_rows.folders import ROWS, WORDS, make_folder

    folder = place.w / "published"
    make_folder(ROWS[row], place.inputs / WORDS, folder, seed=3)
    return folder


def converted(kind: str, cut: str) -> Callable[[Place], str | None]:
    """Return the case of one of the shared folders: it is written, and its cut has this name."""

    def check(place: Place) -> str | None:
        _folder(place)
        done = place.seemant("convert", f"path:w/h/{kind}", "--out", "w/g")
        if wrong := went_well(done):
            return wrong
        from seemant.formats.gguf_read import open_gguf

        found = open_gguf(place.w / "g" / "model.gguf").metadata["tokenizer.ggml.pre"]
        return None if found == cut else f"tokenizer.ggml.pre is {found!r}, not {cut!r}"

    return check


def published(row: str) -> Callable[[Place], str | None]:
    """Return the case of a family with a published tokenizer: a folder is compressed and asked."""

    def check(place: Place) -> str | None:
        _published(place, row)
        steps = (
            ("compress", "path:w/published", "--out", "w/x"),
            ("chat", "path:w/published", "--message", "the"),
            ("bench", "path:w/published", "--out", "w/b"),
            ("chat", "run:w/x", "--message", "the"),
        )
        for words in steps:
            if wrong := went_well(place.seemant(*words)):
                return f"{words[0]}: {wrong}"
        return None

    return check


def _tell(folder: Path, **said: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said), encoding="utf-8")


def _state(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: each.clone() for name, each in load_file(folder / WHOLE).items()}


def _save(folder: Path, state: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file(state, folder / WHOLE, metadata={"format": "pt"})


def _index_beside(folder: Path) -> None:
    (folder / INDEX).write_text('{"weight_map": {"x": "model-00001-of-00002.safetensors"}}')


def _shards(folder: Path, *, lost: bool = False) -> None:
    from safetensors.torch import save_file

    state = _state(folder)
    names = sorted(state)
    files = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, each in files.items():
        save_file({name: state[name] for name in each}, folder / file)
    where = {name: file for file, each in files.items() for name in each}
    size = sum(each.numel() * each.element_size() for each in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    (folder / INDEX).write_text(json.dumps(index))
    (folder / WHOLE).unlink()
    if lost:
        (folder / "model-00002-of-00002.safetensors").unlink()


def _other_head(folder: Path) -> None:
    state = _state(folder)
    _save(folder, state | {"lm_head.weight": state["model.embed_tokens.weight"] * 2})


def _fp8(folder: Path) -> None:
    import torch

    state = _state(folder)
    rows, columns = state[UP].shape
    scale = state[UP].abs().amax() / 400
    state[UP] = (state[UP] / scale).to(torch.float8_e4m3fn)
    state[f"{UP}_scale_inv"] = scale.repeat(rows // 16, columns // 16)
    _save(folder, state)
    _tell(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [16, 16]})


def read_as_transformers(change: Callable[[Path], None]) -> Callable[[Place], str | None]:
    """Return the case of a changed folder: the converted file has transformers' weights."""

    def check(place: Place) -> str | None:
        import torch
        from transformers import AutoModelForCausalLM

        folder = _folder(place)
        change(folder)
        done = place.seemant("convert", f"path:{folder}", "--out", "w/g")
        if wrong := went_well(done):
            return wrong
        from seemant.models.decoder.trainable import load_state

        shape, ours = load_state(place.w / "g" / "model.gguf")
        peer = folder
        if "quantization_config" in json.loads((folder / "config.json").read_text()):
            return None if torch.isfinite(ours[UP]).all() else "weights that are no numbers"
        theirs = AutoModelForCausalLM.from_pretrained(peer, dtype=torch.float32).state_dict()
        head = ours.get("lm_head.weight", ours["model.embed_tokens.weight"])
        same = torch.equal(ours[UP], theirs[UP]) and torch.equal(head, theirs["lm_head.weight"])
        return None if same else f"other weights than transformers' (tied: {shape.tied})"

    return check


def refused_folder(change: Callable[[Path], None], *words: str) -> Callable[[Place], str | None]:
    """Return the case of a folder that convert, chat and compress refuse in these words."""

    def check(place: Place) -> str | None:
        folder = _folder(place)
        change(folder)
        for command in (
            ("convert", f"path:{folder}", "--out", "w/g"),
            ("chat", f"path:{folder}", "--message", "the"),
            ("compress", f"path:{folder}", "--out", "w/x"),
        ):
            if wrong := refused(place.seemant(*command), str(folder.name), *words):
                return f"{command[0]}: {wrong}"
        return None

    return check


def _nan(folder: Path) -> None:
    state = _state(folder)
    state[UP][0, 0] = float("nan")
    _save(folder, state)


def _empty(folder: Path) -> None:
    import torch

    _save(folder, _state(folder) | {UP: torch.zeros(0)})


def _turned(folder: Path) -> None:
    state = _state(folder)
    _save(folder, state | {UP: state[UP].T.contiguous()})


def _without(folder: Path) -> None:
    _save(folder, {name: each for name, each in _state(folder).items() if name != UP})


def _pickled(folder: Path) -> None:
    (folder / WHOLE).rename(folder / "pytorch_model.bin")


def _pointer(folder: Path) -> None:
    (folder / WHOLE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def _adapter(folder: Path) -> None:
    (folder / WHOLE).unlink()
    shutil.move(folder / "config.json", folder / "adapter_config.json")


def trained(place: Place) -> str | None:
    """A folder is trained, and the student is asked and compressed with its adapter."""
    _folder(place)
    steps = (
        (
            "train",
            "path:w/h/smollm2",
            "pairs_bom.jsonl",
            "--languages",
            "hi",
            "--steps",
            "2",
            "--max-length",
            "2048",
            "--heldout-share",
            "0",
            "--out",
            "w/t",
        ),
        ("chat", "path:w/h/smollm2", "--adapter", "w/t", "--message", "the"),
    )
    for words in steps:
        if wrong := went_well(place.seemant(*words)):
            return f"{words[0]}: {wrong}"
    return None


CASES = [
    *(
        Case("27", f"{kind}, as the Hub writes it", converted(kind, cut))
        for kind, cut in (
            ("qwen2", "qwen2"),
            ("qwen2_v5", "qwen2"),
            ("smollm2", "smollm"),
            ("llama3", "llama-bpe"),
        )
    ),
    *(
        Case("27", f"{row} with a published tokenizer: compress, chat, bench", published(row))
        for row in (
            "Qwen3",
            "Gemma 3",
            "Gemma 3, of a multimodal folder",
            "Llama 3.1",
            "SmolLM3",
            "Phi-3",
        )
    ),
    Case("27", "trained, asked", trained),
    Case("28", "an index that stayed behind", read_as_transformers(_index_beside)),
    Case("28", "shards", read_as_transformers(_shards)),
    Case("28", "tied by the settings, another head in the file", read_as_transformers(_other_head)),
    Case("28", "8-bit floats with block scales", read_as_transformers(_fp8)),
    Case(
        "28",
        "a shard is missing",
        refused_folder(lambda f: _shards(f, lost=True), "model-00002-of-00002.safetensors"),
    ),
    *(
        Case(
            "folder",
            f"packed by {method}",
            refused_folder(
                lambda f, m=method: _tell(f, quantization_config={"quant_method": m}),
                method,
                "plain",
            ),
        )
        for method in ("gptq", "awq", "bitsandbytes", "mxfp4")
    ),
    *(
        Case("folder", what, refused_folder(change, *words))
        for what, change, words in (
            ("a weight is NaN", _nan, (UP, "nan", WHOLE)),
            ("an empty tensor", _empty, (UP, "empty", WHOLE)),
            ("a matrix turned over", _turned, (UP, "shape")),
            ("a missing tensor", _without, (UP, "missing")),
            ("pickles alone", _pickled, ("pickle", "safetensors")),
            ("a Git LFS pointer", _pointer, ("lfs", WHOLE)),
            ("an adapter alone", _adapter, ("adapter", "--adapter")),
        )
    ),
    *(
        Case("family", what, refused_folder(lambda f, s=said: _tell(f, **s), *words))
        for what, said, words in (
            ("experts", {"model_type": "qwen3_moe", "num_experts": 8}, ("experts", "qwen2")),
            ("soft-capped", {"model_type": "gemma2", "attn_logit_softcapping": 50.0}, ("soft",)),
            ("unknown", {"model_type": "newmodel"}, ("newmodel",)),
            ("yarn", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, ("yarn", "config")),
            (
                "windows",
                {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0},
                ("window",),
            ),
        )
    ),
]
