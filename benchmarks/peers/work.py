"""The work that every trainer is given: real text cut to rows, and one start of the adapters."""

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LANGUAGES = ("hi", "en")


def hf_folder(name: str) -> Path:
    """Return an embedded model as a Hugging Face folder in float32, which every trainer reads."""
    from seemant.models.expand import expand
    from seemant.models.resolve import resolve

    return expand(resolve(f"embedded:{name}", fetch=True).path)


def shipped_config(name: str) -> Path:
    """Return the file of a configuration that ships without weights."""
    from seemant.models.resolve import resolve

    return resolve(f"config:{name}").path


def even_rows(
    tokenizer: Path, *, length: int, share: float, n: int, languages: Sequence[str] = LANGUAGES
) -> dict[str, Any]:
    """Return `n` rows of `length` ids of running text, the last `share` of each an answer."""
    ids = _stream(tokenizer, n * length, languages)
    rows = [ids[i * length : (i + 1) * length] for i in range(n)]
    return {"ids": rows, "n_prompt": [length - round(share * length)] * n}


def mixed_rows(
    tokenizer: Path, *, longest: int, n: int, languages: Sequence[str] = LANGUAGES, seed: int = 0
) -> dict[str, Any]:
    """Return `n` rows of mixed lengths: a sentence, and the one to four that follow it.

    The first is the prompt, the rest the answer; longer rows are cut at `longest` (a quarter of
    it at least stays an answer).
    """
    encode = _encoder(tokenizer)
    draw = random.Random(seed)
    rows: dict[str, Any] = {"ids": [], "n_prompt": []}
    while len(rows["ids"]) < n:  # a second pass draws other answers
        texts = list(_texts(languages))
        draw.shuffle(texts)
        for text in texts[: n - len(rows["ids"])]:
            parts = [part.strip() for part in re.split(r"(?<=[।.?!])\s+", text) if part.strip()]
            answer = encode(" " + " ".join(parts[1 : 1 + draw.randint(1, 4)]))
            prompt = encode(parts[0])[: longest - longest // 4]
            rows["ids"].append([*prompt, *answer][:longest])
            rows["n_prompt"].append(len(prompt))
    return rows


def random_rows(
    n_vocab: int, *, length: int, share: float, n: int, seed: int = 0
) -> dict[str, Any]:
    """Return `n` rows of random ids, for models with random weights, which have no tokenizer."""
    draw = random.Random(seed)
    rows = [[draw.randrange(3, n_vocab) for _ in range(length)] for _ in range(n)]
    return {"ids": rows, "n_prompt": [length - round(share * length)] * n}


def write_rows(path: Path, rows: Mapping[str, Any], *, batch: int, accumulation: int) -> Path:
    """Write rows and the steps that they make, in their order; a rest is left out."""
    size = batch * accumulation
    steps = [
        [
            list(range(start + micro * batch, start + (micro + 1) * batch))
            for micro in range(accumulation)
        ]
        for start in range(0, len(rows["ids"]) - size + 1, size)
    ]
    path.write_text(json.dumps({**rows, "steps": steps}))
    return path


def write_start(path: Path, config: Path, *, rank: int, seed: int, b: float = 0.0) -> Path:
    """Write one start of all adapters: A as PEFT draws it, B zero, or of deviation `b`."""
    import torch
    from safetensors.torch import save_file

    from seemant.core.jsonl import read_json
    from seemant.models.load import build

    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in build(read_json(config)).named_modules():
        if not isinstance(module, torch.nn.Linear) or ".layers." not in name:
            continue
        bound = 1 / math.sqrt(module.in_features)
        a = torch.rand(rank, module.in_features, generator=generator)
        tensors[f"{name}.lora_A"] = (2 * a - 1) * bound
        tensors[f"{name}.lora_B"] = b * torch.randn(module.out_features, rank, generator=generator)
    save_file(tensors, path)
    return path


def answer_share(rows: Mapping[str, Any]) -> float:
    """Return the share of all tokens that carry loss."""
    total = sum(len(ids) for ids in rows["ids"])
    return 1 - sum(rows["n_prompt"]) / total


def _stream(tokenizer: Path, n: int, languages: Sequence[str]) -> list[int]:
    encode = _encoder(tokenizer)
    ids: list[int] = []
    for text in _texts(languages):
        ids += encode(text + "\n")
        if len(ids) >= n:
            return ids
    return [ids[i % len(ids)] for i in range(n)]


def _texts(languages: Sequence[str]) -> Sequence[str]:
    from importlib.resources import files

    folder = files("seemant.corpus") / "data"
    texts = [
        [json.loads(line)["text"] for line in (folder / f"{lang}.jsonl").open(encoding="utf-8")]
        for lang in languages
    ]
    return [text for pair in zip(*texts, strict=False) for text in pair]


def _encoder(folder: Path) -> Any:
    from seemant.models.tokenizer import tokenizer_of_folder

    tokenizer = tokenizer_of_folder(folder)
    return lambda text: tokenizer.encode(text, add_bos=False)
