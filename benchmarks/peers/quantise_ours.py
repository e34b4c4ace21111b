"""Quantise a GGUF file by the stage `compress`; say its time, its memory and its file's size.

python quantise_ours.py '{"gguf": ..., "method": "gptq", "tokens": 12288, "threads": 2}'

All of the stage is counted: hashing the inputs, rounding, writing, and the file opened again and
compared integer by integer.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lines import memory

from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE
from seemant.core.stage import execute, file_input

METHODS: dict[str, dict[str, Any]] = {
    "rtn": {},
    "gptq": {"method": "gptq", "fit": "mse"},
    "awq": {"prepare": "awq"},
}


def main() -> None:
    """Do the work and print one JSON object."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    start = time.perf_counter()
    model = Path(spec["gguf"])
    config = CompressConfig(
        format="q4_0",
        embedding_format="q8_0",
        languages=("en",),
        calibration_tokens=spec["tokens"],
        threads=spec["threads"],
        **METHODS[spec["method"]],
    )
    given = {"model": file_input(model)}
    if config.calibrated:
        given["calibration"] = file_input(model.parent / "calibration.jsonl")
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as scratch:
        made = execute(STAGE, config, given, store=Path(scratch))
        seconds = time.perf_counter() - start
        size = (made.path / "model.gguf").stat().st_size
        calibrated = json.loads((made.path / "variant.json").read_text())["calibration"]
    tokens = calibrated["tokens"]["en"] if calibrated else 0
    print(json.dumps({"seconds": round(seconds, 2), "bytes": size, "tokens": tokens, **memory()}))


if __name__ == "__main__":
    main()
