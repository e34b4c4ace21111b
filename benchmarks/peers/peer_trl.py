"""TRL's SFTTrainer, driven step by step through its own callbacks. Runs in the peers' venv.

The trainer's own loop runs: its data loader, collator, loss, clipping, AdamW and metrics. A
callback waits for the driver before each optimiser step and answers after it; the seconds are
those between. Rows come tokenised, with labels on the answers, so no template is in between.
"""

import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from lines import Pipe, Rows, memory, reset_peak
from peer_hf import base, load_start
from peft import LoraConfig
from torch.utils.data import SequentialSampler
from transformers import AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class InOrder(SFTTrainer):
    """Takes the rows in the order given, so that every trainer sees the same step."""

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


class Turns(TrainerCallback):
    """Waits for "step" before each step and answers when it is done."""

    def __init__(self, pipe: Pipe, rows: Rows, counts: list[dict[str, int]] | None) -> None:
        self.pipe, self.rows, self.counts = pipe, rows, counts
        self.asks = pipe.asks()
        self.start = self.seconds = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Wait for the driver."""
        for ask in self.asks:
            if ask["do"] == "step":
                break
            reset_peak()
            self.pipe.say(ok=True)
        else:
            raise SystemExit(0)
        self.start = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self.start

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Answer: the trainer has averaged the loss."""
        if "loss" not in logs:
            return
        step = state.global_step - 1
        counts = self.counts[step] if self.counts else self.rows.counts(step)
        self.pipe.say(
            step=step,
            loss=logs["loss"],
            seconds=self.seconds,
            own_tokens=logs.get("num_tokens"),
            **counts,
            **memory(),
        )


def main() -> None:
    """Serve steps until the pipe ends or the rows do."""
    pipe = Pipe()
    spec = pipe.spec
    torch.set_num_threads(spec["threads"])
    rows = Rows(spec["rows"])
    order = [row for step in rows.steps for micro in step for row in micro]
    data = Dataset.from_dict(
        {
            "input_ids": [rows.ids[row] for row in order],
            "labels": [rows.labels(row) for row in order],
        }
    )
    sizes = {(len(step), len(micro)) for step in rows.steps for micro in step}
    ((accumulation, batch),) = sizes
    packing = spec.get("pack") is not None
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=spec["dtype"] == "bfloat16",
            gradient_checkpointing=spec["checkpointing"],
            per_device_train_batch_size=1 if packing else batch,
            gradient_accumulation_steps=accumulation,
            packing=packing,
            max_length=spec.get("pack") or spec["max_length"],
            learning_rate=spec["lr"],
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=spec["clip"],
            num_train_epochs=1,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        adapters = LoraConfig(
            r=spec["rank"],
            lora_alpha=spec["alpha"],
            target_modules="all-linear",
            lora_dropout=0.0,
            task_type="CAUSAL_LM",
        )
        trainer = InOrder(
            model=base(spec),
            args=config,
            train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(spec["tokenizer"]),
            peft_config=adapters,
        )
        load_start(trainer.model, spec["start"])
        counts = packed_counts(trainer.train_dataset, accumulation) if packing else None
        trainer.add_callback(Turns(pipe, rows, counts))
        trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
        pipe.ready(n_trained=trained, n_steps=len(counts or rows.steps))
        trainer.train()


def packed_counts(data: Any, accumulation: int) -> list[dict[str, int]]:
    """Return what each step of a packed data set holds: bins, not rows, make it."""
    bins = [
        {
            "tokens": len(each["input_ids"]),
            "answer_tokens": sum(label != -100 for label in each["labels"]),
            "rows": len(each["seq_lengths"]),
        }
        for each in data
    ]
    steps = [bins[i : i + accumulation] for i in range(0, len(bins), accumulation)]
    return [{key: sum(each[key] for each in step) for key in step[0]} for step in steps]


if __name__ == "__main__":
    main()
