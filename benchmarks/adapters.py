"""Claim: an adapter trained here answers the same in PEFT, merged, and in llama.cpp as GGUF LoRA.

    python benchmarks/adapters.py [--full] [--prompts 4] [--threads N] [--models NAME ...]

Each of the two embedded models is tuned with LoRA and with rsLoRA by `seemant train`. The base is
then written as an F32 GGUF file, so that every program holds the same weights, and each prompt is
answered greedily with 64 tokens by four paths: PEFT over transformers, our merge, llama.cpp with
`adapter.gguf`, and llama.cpp without it. The first three must agree word for word; the last, and a
copy of the adapter with the sign of B turned, must not, or the test could not fail. rsLoRA's alpha
in the file must be alpha * sqrt(r), and an adapter on a tied head must be refused. About 6 minutes.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from claim import machine, say_claim
from parity.runs import write_pairs

from seemant.core.errors import SeemantError
from seemant.core.machine import cores

MODELS = ("gemma-3-270m", "smollm2-135m-instruct")
RANK, ALPHA, TOKENS = 8, 16.0, 64
QUESTIONS = (
    "What comes next?",
    "Why does water boil?",
    "Name three crops of the monsoon.",
    "How is bread made?",
    "What is a river?",
    "Tell me about Delhi.",
    "Why is the sky blue?",
    "What do bees do?",
)


def main() -> int:
    """Measure, print rows, end with one line of JSON."""
    args = arguments()
    print(machine())
    rows: list[dict[str, Any]] = []
    for model in args.models:
        with tempfile.TemporaryDirectory(prefix="seemant-bench-") as folder:
            for row in travels(model, Path(folder), args):
                rows.append(row)
                print(json.dumps(row, ensure_ascii=False), flush=True)
    worst = max(rows, key=lambda row: (not row["holds"], row["value"]))
    holds = all(row["holds"] for row in rows)
    say_claim(
        name="adapters",
        value=worst["value"],
        bar=worst["bar"],
        holds=holds,
        n=len(rows),
        peer="PEFT, llama.cpp",
        rows=rows,
    )
    return 0 if holds else 1


def travels(model: str, folder: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows of one model."""
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.resolve import resolve

    base = resolve(f"embedded:{model}", fetch=True).path
    plain = float_file(base, folder / "base_f32.gguf")
    prompts = rendered(base, args.prompts)
    untuned = by_llamacpp(plain, None, prompts, args.threads)
    for method in ("lora", "rslora"):
        tuned = train(model, method, folder / method, args)
        told = {
            "peft": by_peft(base, tuned / "adapter", prompts, args.threads),
            "merged": by_merge(base, tuned, prompts, args.threads),
            "llamacpp": by_llamacpp(plain, tuned / "adapter.gguf", prompts, args.threads),
        }
        turned = turn_sign(tuned / "adapter.gguf", folder / f"{method}_turned.gguf")
        wrong = by_llamacpp(plain, turned, prompts, args.threads)
        for name in ("merged", "llamacpp"):
            yield compared(model, f"{method}: {name} against PEFT", told[name], told["peft"])
        for name, other in (("no adapter", untuned), ("B with the other sign", wrong)):
            same = sum(a == b for a, b in zip(told["llamacpp"], other, strict=True))
            what = f"{method}: prompts that {name} answers like the adapter"
            yield row(model, what, same, 0, same < len(prompts)) | {"n": len(prompts)}
        alpha = float(open_gguf(tuned / "adapter.gguf").metadata["adapter.lora.alpha"])
        wanted = ALPHA * (math.sqrt(RANK) if method == "rslora" else 1)
        gap = abs(alpha - wanted) / wanted
        what = f"{method}: alpha in the file, relative to {wanted:g}"
        yield row(model, what, gap, 1e-6, gap <= 1e-6)
    yield from head_is_refused(model, folder / "lora" / "adapter", folder / "head")


def train(model: str, method: str, out: Path, args: argparse.Namespace) -> Path:
    """Tune for a few steps, hard enough that the answers change; return the artefact."""
    pairs = write_pairs(out.parent / "pairs.jsonl", n=40)
    words = [sys.executable, "-m", "seemant", "train", f"embedded:{model}", pairs, "--out", out]
    words += ["--method", method, "--rank", RANK, "--alpha", ALPHA, "--lr", "2e-3"]
    words += ["--steps", 60 if args.full else 25, "--batch", 2, "--accumulation", 1]
    words += ["--heldout-share", 0, "--threads", args.threads]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return out


def float_file(base: Path, to: Path) -> Path:
    """Write the same model with every tensor in F32."""
    from seemant.formats.gguf_read import open_gguf
    from seemant.formats.gguf_write import TensorData, write_gguf

    file = open_gguf(base)
    metadata = {**file.fields, "general.file_type": 0}

    def values(name: str) -> Any:
        return lambda: iter([np.ascontiguousarray(file.dequantize(name), np.float32)])

    tensors = {n: TensorData("F32", t.shape, values(n)) for n, t in file.tensors.items()}
    write_gguf(to, metadata, tensors)
    return to


def rendered(base: Path, n: int) -> list[str]:
    """Return the prompts as the model's template words them."""
    from seemant.models.prompts import template_of

    template = template_of(base)
    return [template.render(question, "en") for question in QUESTIONS[:n]]


def by_llamacpp(
    path: Path, adapter: Path | None, prompts: Sequence[str], threads: int
) -> list[str]:
    """Return the greedy answers of llama.cpp."""
    from seemant.models.backends.open import open_backend
    from seemant.models.backends.protocol import Sampling

    with open_backend(path, adapter=adapter, threads=threads, strict=True) as backend:
        sampling = Sampling(max_new_tokens=TOKENS)
        return [backend.generate(prompt, sampling).text for prompt in prompts]


def by_merge(base: Path, tuned: Path, prompts: Sequence[str], threads: int) -> list[str]:
    """Return the greedy answers of torch with the adapter merged into the weights."""
    from seemant.models.load import load_torch

    loaded = load_torch(base, adapter=tuned)
    return greedy(loaded.model, loaded.tokenizer, prompts, threads)


def by_peft(base: Path, adapter: Path, prompts: Sequence[str], threads: int) -> list[str]:
    """Return the greedy answers of PEFT, which reads the folder as any other."""
    from peft import PeftModel

    from seemant.models.load import load_torch

    loaded = load_torch(base)
    model = PeftModel.from_pretrained(loaded.model, str(adapter))
    return greedy(model.eval(), loaded.tokenizer, prompts, threads)


def greedy(model: Any, tokenizer: Any, prompts: Sequence[str], threads: int) -> list[str]:
    """Return transformers' own greedy answers."""
    import torch

    torch.set_num_threads(threads)
    texts = []
    for prompt in prompts:
        ids = torch.tensor([tokenizer.encode(prompt)])
        with torch.no_grad():
            made = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=TOKENS,
                eos_token_id=tokenizer.eos_id,
                pad_token_id=tokenizer.eos_id,
            )
        texts.append(tokenizer.decode(made[0, ids.shape[1] :].tolist()))
    return texts


def turn_sign(adapter: Path, to: Path) -> Path:
    """Write a GGUF LoRA with the sign of every B turned."""
    from seemant.formats.gguf_read import open_gguf
    from seemant.formats.gguf_write import TensorData, write_gguf

    file = open_gguf(adapter)
    tensors = {}
    for name, tensor in file.tensors.items():
        values = file.dequantize(name)
        values = -values if name.endswith("lora_b") else values
        tensors[name] = TensorData("F32", tensor.shape, np.ascontiguousarray(values, np.float32))
    write_gguf(to, file.fields, tensors)
    return to


def head_is_refused(model: str, adapter: Path, to: Path) -> Iterator[dict[str, Any]]:
    """Yield whether an adapter on the tied head is refused, on the way in and on the way out."""
    import shutil

    from safetensors.torch import load_file, save_file

    from seemant.models.adapters import read_adapter
    from seemant.train.adapt import refuse_tied_ends

    shutil.copytree(adapter, to)
    path = to / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(key for key in tensors if key.endswith("q_proj.lora_A.weight"))
    for end in ("lora_A", "lora_B"):
        like = tensors[name.replace("lora_A", end)]
        tensors[f"base_model.model.lm_head.{end}.weight"] = like.clone()
    save_file(tensors, path)
    for what, call in (
        ("training one", lambda: refuse_tied_ends(["lm_head"], tied=True)),
        ("reading one", lambda: read_adapter(to, tied=True)),
    ):
        said = ""
        try:
            call()
        except SeemantError as error:
            said = str(error)
        text = f"{what}: an adapter on the tied head passes"
        yield row(model, text, float(not said), 0, bool(said)) | {"said": said[:120]}


def compared(model: str, what: str, got: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """Return the row of how many answers differ, with the first that does."""
    differ = [(a, b) for a, b in zip(got, wanted, strict=True) if a.strip() != b.strip()]
    text = f"{what}: answers that differ in {TOKENS} greedy tokens"
    found = row(model, text, len(differ), 0, not differ) | {"n": len(wanted)}
    return found | ({"first": differ[0]} if differ else {"answer": wanted[0][:80]})


def row(model: str, what: str, value: float, bar: float, holds: bool) -> dict[str, Any]:
    """Return one line of the result."""
    return {"model": model, "what": what, "value": value, "bar": bar, "holds": holds}


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--full", action="store_true", help="8 prompts, longer tuning")
    args = parser.parse_args()
    if args.full:
        args.prompts = len(QUESTIONS)
    return args


if __name__ == "__main__":
    sys.exit(main())
