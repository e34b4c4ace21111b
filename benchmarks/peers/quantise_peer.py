"""Quantise the same model with a peer, from loading to the saved folder; say time and memory.

    python quantise_peer.py '{"peer": "llm-compressor", "method": "gptq", "folder": ..., ...}'

Nothing of seemant is imported: this runs in the peer's own venv.
"""

import json
import random
import sys
import tempfile
import time
from typing import Any

from lines import memory

LENGTH = 512


def main() -> None:
    """Do the work and print one JSON object."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    import torch

    torch.set_num_threads(spec["threads"])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as out:
        {"llm-compressor": llm_compressor, "gptqmodel": gptqmodel}[spec["peer"]](spec, out)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": round(seconds, 2), **memory()}))


def llm_compressor(spec: dict[str, Any], out: str) -> None:
    """Its one-shot run: GPTQ or AWQ, 4 bits in groups of 32, the head left alone."""
    import torch
    from datasets import Dataset
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(spec["folder"], dtype=torch.float32)
    weights = {
        "num_bits": 4,
        "type": "int",
        "symmetric": True,
        "strategy": "group",
        "group_size": 32,
    }
    groups = {"blocks": {"targets": ["Linear"], "weights": weights}}
    if spec["method"] == "gptq":
        from llmcompressor.modifiers.quantization import GPTQModifier

        recipe = GPTQModifier(config_groups=groups, ignore=["lm_head"])
    else:
        from llmcompressor.modifiers.awq import AWQModifier

        recipe = AWQModifier(config_groups=groups, ignore=["lm_head"])
    rows = _rows(spec, model.config.vocab_size)
    data = Dataset.from_list([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows])
    oneshot(
        model=model,
        dataset=data,
        recipe=recipe,
        max_seq_length=LENGTH,
        num_calibration_samples=len(rows),
    )
    model.save_pretrained(out)


def gptqmodel(spec: dict[str, Any], out: str) -> None:
    """Its quantiser on the CPU: 4 bits, symmetric, groups of 32."""
    from gptqmodel import GPTQModel, QuantizeConfig

    config = QuantizeConfig(bits=4, group_size=32, sym=True, device="cpu")
    model = GPTQModel.load(spec["folder"], config)
    rows = _rows(spec, model.config.vocab_size)
    model.quantize([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows])
    model.save(out)


def _rows(spec: dict[str, Any], n_vocab: int) -> list[list[int]]:
    draw = random.Random(0)
    return [
        [draw.randrange(n_vocab) for _ in range(LENGTH)] for _ in range(spec["tokens"] // LENGTH)
    ]


if __name__ == "__main__":
    main()
