"""One run in its own process: open a model, read a prompt, write an answer, and tell the times.

    python -m seemant.bench.worker '{"model": "model.gguf", "adapter": null, ...}'

The last line of standard output is one JSON object: the sample, or an error.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from seemant.core.errors import SeemantError
from seemant.core.process import die_with_parent

# Speed depends on how many tokens there are, not on which.
TEXT = "भारत एक विशाल देश है। ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ ಬೆಂಗಳೂರು. The river is wide and slow. "


def main() -> None:
    """Run one measurement as the arguments say."""
    die_with_parent()
    try:
        result = measure(json.loads(sys.argv[1]))
    except SeemantError as error:
        about = {"what": error.what, "where": error.where, "fix": error.fix}
        result = {"error": about, "exit_code": error.exit_code}
    sys.stdout.write(json.dumps(result) + "\n")


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Return one sample: seconds, tokens a second, milliseconds, bytes.

    Loading excludes Python's own imports. A short warm-up touches every weight first, so that
    prefill and decode are those of a model in use, not of a cold file.

    Raises:
        WorldError: llama.cpp is not usable here. BadFile: the model is not.
    """
    from seemant.core.memory import anonymous_bytes, peak_bytes, resident_bytes
    from seemant.models.backends.check import check_llamacpp
    from seemant.models.backends.llamacpp import LlamaCpp
    from seemant.models.backends.open import open_backend

    check_llamacpp()  # before the clock starts
    empty = resident_bytes()
    start = time.perf_counter()
    adapter = Path(job["adapter"]) if job["adapter"] else None
    with open_backend(
        Path(job["model"]),
        adapter=adapter,
        threads=job["threads"],
        context=job["context"],
        strict=True,
    ) as model:
        load_s = time.perf_counter() - start
        assert isinstance(model, LlamaCpp)
        loaded = anonymous_bytes()
        warm, advance = model.begin(model.encode("a b c"))
        advance(int(warm.argmax()))

        text = TEXT
        while len(model.encode(text)) < job["prefill_tokens"]:
            text += TEXT
        start = time.perf_counter()
        tokens = model.encode(text)[: job["prefill_tokens"]]
        read = time.perf_counter()
        logits, advance = model.begin(tokens)
        token = int(logits.argmax())
        first = time.perf_counter()
        for _ in range(job["decode_tokens"]):
            token = int(advance(token).argmax())
        last = time.perf_counter()
        sample = {
            "load_s": load_s,
            "prefill_tokens_per_s": len(tokens) / (first - read),
            "ttft_ms": 1000 * (first - start),
            "decode_tokens_per_s": job["decode_tokens"] / (last - first),
            "peak_rss_bytes": peak_bytes(),
            "anonymous_bytes": max(loaded, anonymous_bytes()),
            "python_bytes": empty,
        }
    return sample


if __name__ == "__main__":
    main()
