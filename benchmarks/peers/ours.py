"""Our trainer as a worker: the parts that `seemant train` is made of, one step when told.

The decoder comes straight from the GGUF file (or a folder, or a configuration at random), the
step is the loop's own `update`. With `limit` the plan is searched for it first, and the allocator
and the kernel cache are set as the limited run's worker sets them. Runs in our own environment.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from lines import Pipe, Rows, memory, reset_peak


def main() -> None:
    """Serve steps until the pipe ends."""
    pipe = Pipe()
    config, plan = settings(pipe.spec)
    prepare_memory(plan)
    rows = Rows(pipe.spec["rows"])
    run = Run(pipe.spec, config, rows)
    step = 0
    pipe.ready(n_trained=sum(each.numel() for each in run.parameters.values()), plan=shown(plan))
    for ask in pipe.asks():
        if ask["do"] == "step":
            at = step % len(rows.steps)
            start = time.perf_counter()
            loss = run.step(at, step)
            seconds = time.perf_counter() - start
            pipe.say(step=step, loss=loss, seconds=seconds, **rows.counts(at), **memory())
            step += 1
        elif ask["do"] == "gradients":
            pipe.say(loss=run.gradients(ask["step"], ask["to"]), **memory())
        elif ask["do"] == "adapters":
            run.save({name: p.detach() for name, p in run.parameters.items()}, ask["to"])
            pipe.say(ok=True)
        elif ask["do"] == "entropy":
            pipe.say(entropy=run.entropy(ask["step"]))
        elif ask["do"] == "weights":
            run.save_dequantised(ask["to"])
            pipe.say(ok=True)
        elif ask["do"] == "reset_peak":
            reset_peak()
            pipe.say(ok=True)


def settings(spec: dict[str, Any]) -> tuple[Any, Any]:
    """Return the run's settings, and the plan that they were searched with (or None)."""
    from seemant.train.config import TrainConfig

    given = {
        "base": spec.get("base", "float"),
        "embedding": spec.get("embedding", "float"),
        "compute": spec["dtype"],
        "method": "rslora" if spec.get("rslora") else "lora",
        "rank": spec["rank"],
        "alpha": spec["alpha"],
        "lr": spec["lr"],
        "clip": spec["clip"],
        "schedule": "constant",
        "warmup": 0,
        "max_length": spec["max_length"],
        "checkpointing": bool(spec.get("checkpointing")),
        "threads": spec["threads"],
        "heldout_share": 0.0,
    }
    rows = Rows(spec["rows"])
    given |= {"batch": len(rows.steps[0][0]), "accumulation": len(rows.steps[0])}
    config = TrainConfig(**given)
    if "limit" not in spec:
        return config, None
    from seemant.train.memory.search import fit_to
    from seemant.train.memory.shape_of import shape_of_model

    asked = config.model_copy(
        update={"memory_limit": spec["limit"], "checkpointing": False}
        | {key: spec.get(key, "auto") for key in ("base", "embedding")}
    )
    found = fit_to(
        spec["limit"], shape_of_model(source(spec)), asked, max_length=spec["max_length"]
    )
    return found.config, found.plan


def source(spec: dict[str, Any]) -> Path:
    """Return the model's file: the GGUF file itself where the peers read its expansion."""
    if "gguf" not in spec:
        return Path(spec["model"])
    from seemant.models.resolve import resolve

    return resolve(f"embedded:{spec['gguf']}").path


def prepare_memory(plan: Any) -> None:
    """Do what the limited run's worker does before any library allocates."""
    if plan is None:
        return
    from seemant.models.decoder.kernel_cache import bound_caches
    from seemant.train.memory.worker import MMAP_THRESHOLD, fix_allocator

    if plan.malloc == "mmap threshold":
        fix_allocator(MMAP_THRESHOLD)
    bound_caches(128)


def shown(plan: Any) -> dict[str, Any] | None:
    """Return a plan for the table: its peak in MB and what it chose."""
    if plan is None:
        return None
    said = {"peak_mb": plan.peak_bytes / 1e6} | plan.as_dict()
    said.pop("phases", None)  # every term of every phase: `seemant train --plan` prints them
    return said


class Run:
    """A student at the given start, its optimiser and its rows."""

    def __init__(self, spec: dict[str, Any], config: Any, rows: Rows) -> None:
        import torch
        from safetensors.torch import load_file

        from seemant.train.adapt import Dropout, adapt, trainable
        from seemant.train.fit import loss_settings
        from seemant.train.objective import answers_only
        from seemant.train.opened import open_model
        from seemant.train.optim import Pace, make_optimiser
        from seemant.train.step import Trainee
        from seemant.train.student import Student

        torch.set_num_threads(spec["threads"])
        self.spec, self.config = spec, config
        self.decoder = open_model(source(spec), config).decoder
        adapters = adapt(
            self.decoder, config.method, config.rank, config.alpha, seed=0, dropout=Dropout()
        )
        self.parameters = trainable(adapters)
        start = load_file(spec["start"])
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(start.pop(name.removesuffix(".weight")))
        assert not start
        self.student = Student(self.decoder, loss_settings(self.decoder, config))
        optimiser = make_optimiser(
            config.optimiser, self.parameters.values(), lr=config.lr, weight_decay=0.0
        )
        objective = answers_only(self.student)
        self.trainee = Trainee(self.parameters, objective, optimiser, Dropout())
        self.pace = Pace(
            steps=1_000_000,
            accumulation=config.accumulation,
            lr=config.lr,
            schedule="constant",
            clip=config.clip,
        )
        self.batches = [
            [[row_of(rows, row) for row in micro] for micro in self._cut(step)]
            for step in rows.steps
        ]

    def step(self, at: int, step: int) -> float:
        """Make one optimiser step with the rows of step `at`; return its loss."""
        from seemant.train.scale.world import Lone
        from seemant.train.step import update

        out = Path(tempfile.gettempdir())
        line = update(self.trainee, self.batches[at], step, self.pace, Lone(), out)
        assert line.loss is not None
        return line.loss

    def gradients(self, at: int, to: str) -> float:
        """Write the gradients of one step's mean loss; return that loss."""
        from seemant.train.scale.world import Lone
        from seemant.train.step import accumulate

        self.trainee.optimiser.zero_grad(set_to_none=True)
        loss = accumulate(self.trainee, self.batches[at], 0, Lone()).nats
        self.save({name: p.grad for name, p in self.parameters.items()}, to)
        self.trainee.optimiser.zero_grad(set_to_none=True)
        return loss

    def entropy(self, at: int) -> float:
        """Return the mean entropy of the predictions at a step's answers, in nats."""
        import torch

        with torch.no_grad():
            total, n = 0.0, 0
            for batch in self.batches[at]:
                h, _ = self.student.hidden(batch)
                logits = h.float() @ self._head().T
                p = torch.log_softmax(logits, dim=1)
                total -= float((p.exp() * p).sum())
                n += len(h)
        return total / n

    def save(self, tensors: dict[str, Any], to: str) -> None:
        """Write tensors by the names that all trainers share."""
        from safetensors.torch import save_file

        save_file({n.removesuffix(".weight"): t.contiguous() for n, t in tensors.items()}, to)

    def save_dequantised(self, to: str) -> None:
        """Write the weights as held, in float32, beside the other tensors of the peers' folder."""
        import torch
        from safetensors.torch import load_file, save_file

        tensors = load_file(Path(self.spec["model"]) / "model.safetensors")
        for name, module in self.decoder.linears().items():
            tensors[f"{name}.weight"] = module.base.matrix.dequantised(torch.float32).clone()
        tensors["model.embed_tokens.weight"] = self._table(self.decoder.model.embed_tokens)
        if "lm_head.weight" in tensors:
            tensors["lm_head.weight"] = self._head()
        save_file(tensors, to, {"format": "pt"})

    def _head(self) -> Any:
        return self._table(self.decoder.head)

    def _table(self, matrix: Any) -> Any:
        import torch

        return matrix.dequantised(torch.float32).clone()

    def _cut(self, step: list[list[int]]) -> list[list[int]]:
        # A plan may have made micro-batches smaller; the rows of the step stay the same.
        flat = [row for micro in step for row in micro]
        size = self.config.batch
        return [flat[i : i + size] for i in range(0, len(flat), size)]


def row_of(rows: Rows, index: int) -> Any:
    """Return a row as `render` makes it."""
    from array import array

    from seemant.train.rows.render import Row, targets_of

    ids, n_prompt = rows.ids[index], rows.n_prompt[index]
    return Row(
        key=str(index),
        paragraph=str(index),
        lang="en",
        ids=array("i", ids),
        targets=targets_of(ids, n_prompt),
        n_prompt=n_prompt,
    )


if __name__ == "__main__":
    main()
