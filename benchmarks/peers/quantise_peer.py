"""Quantise a Hugging Face folder with a peer: 4 bits, symmetric, groups of 32, the head left alone.

    python quantise_peer.py '{"peer": "llm-compressor", "method": "gptq", "folder": ..., ...}'

folder: the model. threads, tokens: of calibration, in ids drawn from a seed; or rows: a JSON file
of ids. values: where the dequantised weights go, a safetensors file; without it the peer saves its
own folder. Says seconds and memory, and how many of the blocks' matrices lie on a grid afterwards:
a peer that silently rounds nothing is no peer. Nothing of seemant is imported: this runs in the
peer's venv. Start it in a scratch folder: GPTQModel leaves a log where it is started.

Two things keep peers from running without a GPU, and are mended here: llm-compressor's AWQ pins
memory for a copy that never comes, GPTQModel imports torchvision for models that nobody asked for.
"""

import importlib.machinery
import json
import os
import random
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lines import memory

LENGTH = 512
BITS, GROUP = 4, 32


def main() -> None:
    """Do the work and print one JSON object."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    out = os.dup(1)
    os.dup2(2, 1)  # libraries print
    import torch

    torch.set_num_threads(spec["threads"])
    torch.Tensor.pin_memory = lambda self, *_: self  # type: ignore[method-assign]
    if spec["peer"] == "gptqmodel":
        _compile()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as folder:
        run = {"llm-compressor": llm_compressor, "gptqmodel": gptqmodel, "auto-round": auto_round}
        model = run[spec["peer"]](spec, None if spec.get("values") else folder)
        facts = {"seconds": round(time.perf_counter() - start, 2), **memory()}
        if spec.get("values"):
            values = dict(_values(model))
            save(values, spec["values"])
            good = {name: _on_grid(w) for name, w in values.items() if w.ndim == 2}
        else:
            good = _packed(folder)
    answer = json.dumps(facts | {"matrices": len(good), "on_grid": sum(good.values())})
    os.write(out, (answer + "\n").encode())


def llm_compressor(spec: dict[str, Any], out: str | None) -> Any:
    """Its one-shot run: GPTQ, or AWQ."""
    import torch
    from datasets import Dataset
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(spec["folder"], dtype=torch.float32)
    weights = {"num_bits": BITS, "type": "int", "symmetric": True}
    weights |= {"strategy": "group", "group_size": GROUP}
    groups = {"blocks": {"targets": ["Linear"], "weights": weights}}
    if spec["method"] == "gptq":
        from llmcompressor.modifiers.gptq import GPTQModifier

        recipe = GPTQModifier(config_groups=groups, ignore=["lm_head"])
    else:
        from llmcompressor.modifiers.awq import AWQModifier

        recipe = AWQModifier(config_groups=groups, ignore=["lm_head"])
    rows = _rows(spec, model.config.vocab_size)
    data = Dataset.from_list([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows])
    oneshot(
        model=model,
        processor=_tokenizer(),
        dataset=data,
        recipe=recipe,
        max_seq_length=LENGTH,
        num_calibration_samples=len(rows),
    )
    if out:
        model.save_pretrained(out)
    return model


def gptqmodel(spec: dict[str, Any], out: str | None) -> Any:
    """Its quantiser on the CPU: GPTQ."""
    _without_torchvision()
    from gptqmodel import GPTQModel, QuantizeConfig

    apart = {} if out else {"offload_to_disk": False}  # then its values are there afterwards
    config = QuantizeConfig(
        bits=BITS, group_size=GROUP, sym=True, desc_act=False, device="cpu", **apart
    )
    model = GPTQModel.load(spec["folder"], config)
    rows = _rows(spec, model.config.vocab_size)
    data = [{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows]
    model.quantize(data, batch_size=1)
    if out:
        model.save(out)
    return model.model


def auto_round(spec: dict[str, Any], out: str | None) -> Any:
    """Its recipe "light": signed gradient descent, 50 steps a block (its default: 200)."""
    import torch
    from auto_round import AutoRound
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(spec["folder"], dtype=torch.float32)
    rows = _rows(spec, model.config.vocab_size)
    data = [
        {"input_ids": torch.tensor([row]), "attention_mask": torch.ones(1, len(row))}
        for row in rows
    ]
    worker = AutoRound(
        model,
        tokenizer=_tokenizer(),
        bits=BITS,
        group_size=GROUP,
        sym=True,
        dataset=data,
        seqlen=min(map(len, rows)),
        nsamples=len(rows),
        batch_size=8,
        device_map="cpu",
        enable_torch_compile=False,
        iters=spec.get("iters", 50),
        lr=5e-3,
    )
    model, _ = worker.quantize()
    if out:
        worker.save_quantized(out, format="auto_round")
    return model


def save(values: dict[str, Any], to: str) -> None:
    """Write the blocks' tensors as the peer multiplies by them, by their Hugging Face names."""
    from safetensors.torch import save_file

    save_file(values, to)


def _packed(folder: str) -> dict[str, bool]:
    """Return the blocks' matrices in a saved folder, and whether they lie there as packed codes."""
    from safetensors import safe_open

    found = {}
    for path in Path(folder).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                codes = name.endswith((".qweight", ".weight_packed"))
                plain = name.endswith(".weight") and len(file.get_slice(name).get_shape()) == 2
                if ".layers." in name and (codes or plain):
                    found[name] = codes
    return found


def _on_grid(w: Any) -> bool:
    """Return whether no group of a matrix (R, C) takes more than 16 values: it was rounded."""
    ordered = w.reshape(-1, GROUP).sort(1).values
    steps = ordered.diff(dim=1) > 1e-5 * ordered.abs().amax(1, keepdim=True)
    return int(steps.sum(1).max()) < 1 << BITS


def _values(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the blocks' tensors, float32."""
    for name, module in model.named_modules():
        if ".layers." not in name:
            continue
        if hasattr(module, "dequantize_weight"):  # gptqmodel: (inputs, outputs)
            _true_zeros(module)
            yield f"{name}.weight", module.dequantize_weight().detach().float().T.contiguous()
        elif hasattr(module, "quantization_scheme"):  # llm-compressor: rounded as it multiplies
            from compressed_tensors.quantization.lifecycle.forward import fake_quantize

            grid = module.quantization_scheme.weights
            w = module.weight.detach()
            w = fake_quantize(w, module.weight_scale, module.weight_zero_point, grid)
            yield f"{name}.weight", w.float().contiguous()
        elif getattr(module, "weight", None) is not None:  # auto-round's values, and norms
            yield f"{name}.weight", module.weight.detach().float().contiguous()


def _true_zeros(module: Any) -> None:
    """Undo GPTQModel's packing for export, which stores zero points less one."""
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module

    if module.qzero_format() == 1:
        convert_gptq_v1_to_v2_format_module(module, bits=BITS, pack_dtype=module.pack_dtype)


def _rows(spec: dict[str, Any], n_vocab: int) -> list[list[int]]:
    if spec.get("rows"):
        given: list[list[int]] = json.loads(Path(spec["rows"]).read_text())
        return given
    draw = random.Random(0)
    return [
        [draw.randrange(n_vocab) for _ in range(LENGTH)] for _ in range(spec["tokens"] // LENGTH)
    ]


def _tokenizer() -> Any:
    """Return a tokenizer that knows nothing: peers ask for one, and are given ids."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    empty = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    return PreTrainedTokenizerFast(tokenizer_object=empty, unk_token="?", pad_token="?")


def _compile() -> None:
    """Let GPTQModel compile what it packs with, once for all runs: no part of quantising."""
    _without_torchvision()
    from gptqmodel.utils.cpp import load_pack_block_extension

    load_pack_block_extension()


def _without_torchvision() -> None:
    if "torchvision" in sys.modules:
        return
    import transformers
    from transformers import AutoModelForCausalLM

    del transformers, AutoModelForCausalLM  # they ask whether it is there: asked before the lie
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        empty = types.ModuleType(name)
        empty.__spec__ = importlib.machinery.ModuleSpec(name, None)
        empty.__path__ = []
        empty.InterpolationMode = object  # type: ignore[attr-defined]
        sys.modules[name] = empty
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
