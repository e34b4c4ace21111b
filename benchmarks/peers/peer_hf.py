"""Plain transformers + PEFT: the loop that one writes by hand. Runs in the peers' venv.

    loss = model(input_ids, attention_mask, labels, num_items_in_batch).loss    # all logits

`head`: "full" is that; "kept" asks the model for the logits of answer positions only
(`logits_to_keep`, one row a micro-batch), which few do by hand: the best that the library allows.
With dtype "float64" it is the reference: every cast to float32 inside the model is undone.
"""

import time
from pathlib import Path
from typing import Any

import torch
from lines import Pipe, Rows, memory, reset_peak
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM


def main() -> None:
    """Serve steps until the pipe ends."""
    pipe = Pipe()
    spec = pipe.spec
    torch.set_num_threads(spec["threads"])
    if spec["dtype"] == "float64":
        keep_double()
    model = adapted(spec)
    optimiser = torch.optim.AdamW(trained(model), lr=spec["lr"], weight_decay=0.0)
    rows = Rows(spec["rows"])
    step = 0
    pipe.ready(n_trained=sum(each.numel() for each in trained(model)))
    for ask in pipe.asks():
        if ask["do"] == "step":
            start = time.perf_counter()
            loss = update(model, optimiser, rows, step % len(rows.steps), spec)
            seconds = time.perf_counter() - start
            counts = rows.counts(step % len(rows.steps))
            pipe.say(step=step, loss=loss, seconds=seconds, **counts, **memory())
            step += 1
        elif ask["do"] == "gradients":
            optimiser.zero_grad(set_to_none=True)
            loss = accumulate(model, rows, ask["step"], spec)
            save(model, ask["to"], gradients=True)
            optimiser.zero_grad(set_to_none=True)
            pipe.say(loss=loss, **memory())
        elif ask["do"] == "adapters":
            save(model, ask["to"], gradients=False)
            pipe.say(ok=True)
        elif ask["do"] == "reset_peak":
            reset_peak()
            pipe.say(ok=True)


def adapted(spec: dict[str, Any]) -> Any:
    """Return the model with its adapters at the given start."""
    config = LoraConfig(
        r=spec["rank"],
        lora_alpha=spec["alpha"],
        target_modules="all-linear",
        lora_dropout=0.0,
        use_rslora=spec.get("rslora", False),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base(spec), config)
    load_start(model, spec["start"])
    if spec.get("checkpointing"):
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    model.config.use_cache = False
    return model.train()


def base(spec: dict[str, Any]) -> Any:
    """Return the base model: a folder's weights, or a configuration's shapes filled at random."""
    dtype = getattr(torch, spec["dtype"])
    path = Path(spec["model"])
    if path.is_dir():
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
    else:
        import json

        torch.manual_seed(0)
        config = AutoConfig.for_model(**json.loads(path.read_text()))
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if spec["dtype"] == "float64":
        double_rotation(model)
    return model


def load_start(model: Any, start: str) -> None:
    """Copy the common start into the adapters."""
    given = load_file(start)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.copy_(given.pop(our_name(name)))
    if given:
        raise SystemExit(f"adapters that the peer lacks: {sorted(given)[:3]}")


def our_name(name: str) -> str:
    """Return `model.layers.0.self_attn.q_proj.lora_A` of PEFT's name."""
    return name.replace("base_model.model.", "", 1).replace(".default.weight", "")


def trained(model: Any) -> list[torch.nn.Parameter]:
    """Return the adapters' matrices."""
    return [each for each in model.parameters() if each.requires_grad]


def update(model: Any, optimiser: Any, rows: Rows, step: int, spec: dict[str, Any]) -> float:
    """Make one optimiser step; return the mean loss of its answer tokens."""
    optimiser.zero_grad(set_to_none=True)
    loss = accumulate(model, rows, step, spec)
    torch.nn.utils.clip_grad_norm_(trained(model), spec["clip"])
    optimiser.step()
    return loss


def accumulate(model: Any, rows: Rows, step: int, spec: dict[str, Any]) -> float:
    """Add the gradient of one step's mean loss; return that mean."""
    n = rows.counts(step)["answer_tokens"]
    total = 0.0
    for micro in rows.steps[step]:
        loss = kept_loss(model, rows, micro, n) if spec.get("head") == "kept" else None
        if loss is None:
            loss = model(**padded(rows, micro), num_items_in_batch=n).loss
        loss.backward()
        total += float(loss.detach())
    return total


def padded(rows: Rows, micro: list[int]) -> dict[str, torch.Tensor]:
    """Return a padded batch, as a tokenizer and collator make it."""
    longest = max(len(rows.ids[row]) for row in micro)
    room = [longest - len(rows.ids[row]) for row in micro]
    both = list(zip(micro, room, strict=True))
    return {
        "input_ids": torch.tensor([rows.ids[row] + [0] * n for row, n in both]),
        "attention_mask": torch.tensor([[1] * (longest - n) + [0] * n for n in room]),
        "labels": torch.tensor([rows.labels(row) + [-100] * n for row, n in both]),
    }


def kept_loss(model: Any, rows: Rows, micro: list[int], n: int) -> torch.Tensor:
    """Return the loss from the logits of answer positions alone."""
    (row,) = micro
    ids = torch.tensor([rows.ids[row]])
    at = torch.arange(rows.n_prompt[row] - 1, ids.shape[1] - 1)
    logits = model(input_ids=ids, logits_to_keep=at).logits[0].float()
    return torch.nn.functional.cross_entropy(logits, ids[0, at + 1], reduction="sum") / n


def save(model: Any, to: str, *, gradients: bool) -> None:
    """Write the adapters or their gradients, by our names."""
    found = {
        our_name(name): (each.grad if gradients else each).detach().clone()
        for name, each in model.named_parameters()
        if each.requires_grad
    }
    save_file(found, to)


def keep_double() -> None:
    """Make `.float()` and `.to(torch.float32)` of a float64 tensor do nothing.

    The model's norms, rotations and loss go through float32 by name, whatever its weights are.
    """
    own_float, own_to = torch.Tensor.float, torch.Tensor.to

    def to(self: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        if self.dtype == torch.float64:
            given = tuple(torch.float64 if each is torch.float32 else each for each in given)
            if named.get("dtype") is torch.float32:
                named["dtype"] = torch.float64
        return own_to(self, *given, **named)

    def to_float(self: torch.Tensor) -> torch.Tensor:
        return self if self.dtype == torch.float64 else own_float(self)

    torch.Tensor.to, torch.Tensor.float = to, to_float


def double_rotation(model: Any) -> None:
    """Give the rotations their frequencies in float64: theta^(-2i / d)."""
    rotary = model.model.rotary_emb
    for name, buffer in list(rotary.named_buffers()):
        if not name.endswith("inv_freq") or "original" in name:
            continue
        kind = name.removesuffix("inv_freq").rstrip("_")
        given = model.config.rope_parameters
        theta = (given[kind] if kind else given)["rope_theta"]
        n = 2 * len(buffer)
        exact = theta ** -(torch.arange(0, n, 2, dtype=torch.float64) / n)
        if not torch.allclose(exact, buffer.double(), rtol=1e-5):
            raise SystemExit(f"{name} is no plain rotation")
        rotary.register_buffer(name, exact, persistent=False)


if __name__ == "__main__":
    main()
