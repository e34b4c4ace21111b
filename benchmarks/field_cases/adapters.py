"""Adapters as people bring them: merged as PEFT reads them, or refused in one sentence."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from field_cases.place import Case, Done, Place, refused, went_well
from seemant.models.backends.tiny import write_tiny


def tiny(place: Place) -> Path:
    """Return a tiny Llama of the adapters' shapes."""
    write_tiny(place.w / "tiny.gguf")
    return place.w / "tiny.gguf"


def made(place: Place, name: str) -> Path:
    """Return one of the shared script's adapters."""
    place.python("adapters.py", place.w / "a")
    return place.w / "a" / name


def by_two(place: Place, adapter: Path) -> dict[str, Done]:
    """Give an adapter to compress and to chat."""
    model = tiny(place)
    out = place.w / "out"
    more = ("--adapter", adapter)
    return {
        "compress": place.seemant(
            "compress", model, *more, "--bits", "8", "--group", "32", "--out", out
        ),
        "chat": place.seemant("chat", model, *more, "--message", "the", "--max-new-tokens", "4"),
    }


def kind(name: str, *words: str) -> Callable[[Place], str | None]:
    """Return a check that one of the shared adapters is refused with these words; none: read."""

    def check(place: Place) -> str | None:
        for command, done in by_two(place, made(place, name)).items():
            seen = refused(done, *words) if words else went_well(done)
            if seen is not None:
                return f"{command}: {seen}"
        return None

    return check


def setting(change: dict[str, Any], *words: str) -> Callable[[Place], str | None]:
    """Return a check of the plain adapter with other settings."""

    def check(place: Place) -> str | None:
        path = made(place, "plain") / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        return kind_of(place, path.parent, words)

    return check


def kind_of(place: Place, adapter: Path, words: tuple[str, ...]) -> str | None:
    """Say which command did not refuse (with words) or read (without) an adapter."""
    for command, done in by_two(place, adapter).items():
        seen = refused(done, *words) if words else went_well(done)
        if seen is not None:
            return f"{command}: {seen}"
    return None


def by_peft(start: str) -> Callable[[Place], str | None]:
    """Return a check that an adapter made by PEFT is merged as PEFT merges it, or refused."""

    def check(place: Place) -> str | None:
        done = place.python("pissa_by_peft.py", place.w / "p", start)
        if done.code:
            named = "BadFile" in done.err and "init_lora_weights" in done.err
            return None if named and start != "true" else f"exit {done.code}: {done.err[-300:]!r}"
        found = re.search(r"merged by seemant ([\d.]+)", done.out)
        if found is None:
            return f"no figure in {done.out!r}"
        return None if float(found[1]) < 0.001 else f"differs from PEFT by {found[1]}"

    return check


CASES = [
    Case("13", "PiSSA by PEFT itself", by_peft("pissa")),
    Case("13", "PiSSA by fast SVD", by_peft("pissa_niter_4")),
    Case("13", "OLoRA by PEFT itself", by_peft("olora")),
    Case("13", "a plain start by PEFT itself", by_peft("true")),
    Case("13", "a Gaussian start by PEFT itself", by_peft("gaussian")),
    Case("13", "PiSSA by its settings", kind("pissa", "init_lora_weights")),
    Case("13", "a plain LoRA", kind("plain")),
    Case("13", "aLoRA", setting({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens")),
    Case("13", "replicated layers", setting({"layer_replication": [[0, 2], [1, 2]]}, "layer_rep")),
    Case("13", "rows of the embedding", setting({"trainable_token_indices": [3]}, "embedding")),
    Case("13", "a setting of tomorrow", setting({"use_quantum_lora": True}, "use_quantum_lora")),
    Case("13", "a setting of tomorrow that is off", setting({"use_quantum_lora": False})),
    Case("13", "a method that is no LoRA", setting({"peft_type": "VERA"}, "VERA")),
    Case("13", "another rank than the tensors'", setting({"r": 8}, "rank")),
    Case("13", "settings of training alone", setting({"eva_config": {"rho": 2.0}})),
    Case("14", "both tensors empty", kind("zero3", "empty", "gather")),
    Case("14", "one tensor empty", kind("zero3b", "empty", "gather")),
    Case("14", "no tensor at all", kind("nothing", "lora_A")),
    Case("14", "tensors under their name in memory", kind("default_key", "default")),
    Case("14", "NaN", kind("nan", "NaN")),
]
