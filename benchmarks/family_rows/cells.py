"""What is measured of one family's folder: each cell returns its figure; lower is better."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TEXTS = (
    "The river of three towns rose by 12.5 cm; it's not over.",
    "भारत की राजधानी नई दिल्ली है। क्या वर्षा ऋतु में किसान धान बोते हैं?",
    "ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ. ಮಳೆಗಾಲದಲ್ಲಿ ರೈತರು ಭತ್ತ ಬಿತ್ತುತ್ತಾರೆ.",
    "சென்னை தமிழ்நாட்டின் தலைநகரம்; ஆறுகள் நிரம்பி வழிகின்றன.",
    "def area(r):\n    # a circle's area\n    return 3.14159 * r ** 2\n\n\nx = 1\n",
    "👩🏽‍🌾 🇮🇳 ☔️ naïve café — “quotes” … ½",
    "दिल्ली Delhi ದೆಹಲಿ டெல்லி दिल्ली123 ೪೫೬abc",
    "  two  spaces\t\ttabs\r\n\r\nlines   ",
    "a\u0000b \ufeffmark \u200d joiner \u200c",
    "1234567890 १२३४५ ೧೨೩೪ 1,00,000",
)
N_TOKENS = 48


def decoder(folder: Path, model: Any) -> float:
    """Return the largest difference of our logits from transformers', both float32.

    transformers reads the folder itself: what it makes of the files is what counts.
    """
    import torch

    ours = logits_of(folder)
    theirs = peer_model(folder, model)
    with torch.no_grad():
        return max(
            float((ours(ids) - theirs(ids[None]).logits[0]).abs().max())
            for ids in (some_ids(model, n) for n in (N_TOKENS, 100))
        )


def gradient(folder: Path, model: Any) -> float:
    """Return the largest difference of a parameter's gradient, in parts of its largest number."""
    import torch

    from seemant.models.decoder.trainable import load_state, trainable_decoder

    shape, state = load_state(folder)
    mine = trainable_decoder(shape, seed=0, state=state)
    ids = some_ids(model, N_TOKENS)
    model.requires_grad_()
    scores = torch.randn(N_TOKENS, shape.vocab, generator=torch.Generator().manual_seed(1))
    scores /= shape.vocab**0.5
    (model(ids[None]).logits[0] * scores).sum().backward()
    weight = mine.head_weight
    assert isinstance(weight, torch.Tensor)
    (capped(mine(ids, [N_TOKENS]) @ weight.T, shape.softcap) * scores).sum().backward()
    theirs = dict(model.named_parameters())
    return max(
        float((each.grad - theirs[name].grad).abs().max() / theirs[name].grad.abs().max())
        for name, each in mine.named_parameters()
        if name in theirs and float(theirs[name].grad.abs().max()) > 1e-6
    )


def in_llama_cpp(gguf: Path, folder: Path, model: Any) -> float:
    """Return the mean KLD of llama.cpp on the file from transformers on the folder, in nats.

    The file read back by us has to give the folder's logits: their difference counts too.
    """
    import torch

    ids = some_ids(model, N_TOKENS)
    back = float((logits_of(gguf)(ids) - logits_of(folder)(ids)).abs().max())
    with torch.no_grad():
        wanted = torch.log_softmax(model(ids[None]).logits[0, :-1].double(), -1).numpy()
    return max(kld(wanted, log_probabilities(gguf, ids.tolist())), back)


def other_tokens(gguf: Path, folder: Path) -> float:
    """Return how many texts get other ids by the folder, by the file here, or by llama.cpp."""
    import tokenizers

    from seemant.formats.gguf_read import open_gguf
    from seemant.models.backends.open import open_backend
    from seemant.models.tokenizer import tokenizer_of_metadata

    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ours = tokenizer_of_metadata(open_gguf(gguf).metadata)
    differ = 0
    with open_backend(gguf, strict=True, context=512) as backend:
        for text in TEXTS:
            wanted = theirs.encode(text, add_special_tokens=False).ids
            found = ours.encode(text, add_bos=False)
            there = list(backend.encode(text))
            there = there[1:] if ours.add_bos and there[:1] == [ours.bos_id] else there
            differ += not wanted == found == there
    return float(differ)


def gptq(gguf: Path, text: Path, unseen: str, model: Any, store: Path) -> float:
    """Return the damage (KLD) of 3 bits by GPTQ over that of rounding to nearest; 1: no gain.

    text: what it is calibrated on. unseen: more of its kind, on which the damage is measured.
    """
    import torch

    from seemant.core.stage import execute
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.tokenizer import tokenizer_of_metadata
    from seemant.study.inputs import as_input
    from seemant.study.stages import stage_named

    stage = stage_named("compress")
    ids = torch.tensor(tokenizer_of_metadata(open_gguf(gguf).metadata).encode(unseen)[:200])
    with torch.no_grad():
        wanted = torch.log_softmax(model(ids[None]).logits[0, :-1].double(), -1).numpy()
    damage = {}
    for method in ("rtn", "gptq"):
        settings = {"method": method, "bits": 3, "languages": ("en",), "calibration_tokens": 4096}
        config = stage.config(**settings)
        inputs = {"model": as_input(f"path:{gguf}", "model")}
        if method == "gptq":
            inputs["calibration"] = as_input(str(text), "paragraphs")
        done = execute(stage, config, inputs, store=store)
        damage[method] = kld(wanted, log_probabilities(done.path / "model.gguf", ids.tolist()))
    return damage["gptq"] / damage["rtn"]


def lora(folder: Path, pairs: Path, model: Any, store: Path) -> float:
    """Return the KLD of llama.cpp with base and trained GGUF adapter from PEFT's merged model.

    The adapter has to have changed something: where it has not, the figure is infinite.
    """
    import torch
    from peft import PeftModel

    from seemant.core.stage import execute
    from seemant.study.inputs import as_input
    from seemant.study.stages import stage_named

    stage = stage_named("train")
    config = stage.config(
        languages=("en",),
        steps=6,
        lr=2e-2,
        warmup=0,
        batch=2,
        accumulation=1,
        max_length=128,
        threads=1,
        heldout_share=0.0,
    )
    inputs = {
        "model": as_input(f"path:{folder}", "model"),
        "pairs": as_input(str(pairs), "pairs"),
    }
    done = execute(stage, config, inputs, store=store)
    ids = some_ids(model, N_TOKENS)
    with torch.no_grad():
        before = torch.log_softmax(model(ids[None]).logits[0, :-1].double(), -1).numpy()
        tuned = PeftModel.from_pretrained(model, done.path / "adapter").merge_and_unload()
        after = torch.log_softmax(tuned(ids[None]).logits[0, :-1].double(), -1).numpy()
    if kld(after, before) < 1e-4:
        return float("inf")
    found = log_probabilities(inputs["model"].path, ids.tolist(), done.path / "adapter.gguf")
    return kld(after, found)


def logits_of(path: Path) -> Any:
    """Return a function from ids (N,) to our decoder's logits (N, V) on a file or folder."""
    import torch

    from seemant.models.decoder.load import load_decoder

    mine = load_decoder(path, words=False).decoder

    def logits(ids: Any) -> Any:
        weight = mine.head_weight
        matrix = weight if isinstance(weight, torch.Tensor) else weight.dequantised(torch.float32)
        with torch.no_grad():
            return capped(mine(ids, [len(ids)]).float() @ matrix.T, mine.shape.softcap)

    return logits


def peer_model(folder: Path, model: Any) -> Any:
    """Return the model as transformers reads it from the folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    auto = AutoModelForImageTextToText if "text_config" in said else AutoModelForCausalLM
    return auto.from_pretrained(folder, dtype=torch.float32).eval()


def log_probabilities(gguf: Path, ids: Sequence[int], adapter: Path | None = None) -> Floats:
    """Return llama.cpp's log-probabilities after each of these ids but the last, (N - 1, V)."""
    from seemant.models.backends.open import open_backend

    with open_backend(gguf, adapter=adapter, strict=True, context=256) as backend:
        rows: Iterator[Any] = backend.logprobs(list(ids), 1)
        return np.concatenate(list(rows)).astype(np.float64)


def kld(wanted: Floats, found: Floats) -> float:
    """Return mean KL(wanted || found) of rows of log-probabilities, in nats."""
    return float((np.exp(wanted) * (wanted - found)).sum(-1).mean())


def capped(logits: Any, cap: float | None) -> Any:
    """Return logits, soft-capped where the model is."""
    import torch

    return logits if cap is None else cap * torch.tanh(logits / cap)


def some_ids(model: Any, n: int) -> Any:
    """Return n ids past the special ones."""
    import torch

    generator = torch.Generator().manual_seed(5)
    return torch.randint(70, model.config.vocab_size - 70, (n,), generator=generator)
