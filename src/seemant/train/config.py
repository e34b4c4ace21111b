"""The settings of a fine-tuning run."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from seemant.core.config import HOW, Bytes, Config
from seemant.core.records import Lang
from seemant.models.chat_words import TemplateChoice

# What a plan may choose where it was not given: how a run is carried out within its memory.
MEMORY_FIELDS = (
    "base",
    "embedding",
    "batch",
    "accumulation",
    "pack",
    "checkpointing",
    "vocab_block",
)


class TrainConfig(Config):
    """Adapters on every linear layer of the blocks, or (`full`) every weight."""

    method: Literal["lora", "rslora", "dora", "full"] = "lora"
    """What is trained: LoRA, rsLoRA or DoRA adapters, or every weight of the model."""
    rank: PositiveInt = 8
    """Rank r of the adapters."""
    alpha: PositiveFloat = 16.0
    """Scale of the adapters: their product counts alpha / r times (rsLoRA: alpha / sqrt(r))."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of an adapter's inputs that is dropped in each training step."""
    base: Literal["auto", "float", "int8", "int4", "nf4"] = "float"
    """How the blocks' frozen matrices are held; auto: the most exact that fits the limit."""
    embedding: Literal["auto", "float", "int8", "int4"] = "float"
    """How the frozen embedding is held; auto: the most exact that fits the limit."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Number type of activations and of frozen float weights; what is trained is float32 always."""
    lr: PositiveFloat = 5e-4
    """Highest learning rate, reached after the warm-up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """The learning rate after the warm-up: it falls to zero in a curve or a line, or stays."""
    warmup: NonNegativeInt = 5
    """Steps over which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay on what is trained."""
    clip: PositiveFloat | None = 1.0
    """Largest norm of the whole gradient; none turns clipping off."""
    optimiser: Literal["adamw", "adamw8bit", "lion", "adafactor"] = "adamw"
    """The optimiser; adamw8bit and lion need the extra nf4, and lion a 3 to 10 times lower rate."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each target that is spread over the whole vocabulary."""
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of the squared log-normaliser, which keeps logits from drifting."""
    steps: PositiveInt | None = 60
    """Optimiser steps; give this or --epochs."""
    epochs: PositiveFloat | None = None
    """Passes over the pairs; give this or --steps."""
    batch: PositiveInt = 2
    """Pairs in one micro-batch; not used with --pack."""
    accumulation: PositiveInt = 2
    """Micro-batches in one optimiser step; they count by their answer tokens, not equally."""
    max_length: int = Field(default=256, ge=8)
    """Longest row, prompt and answer and end-of-turn token together, in tokens."""
    on_long: Literal["reject", "cut-input"] = "reject"
    """What happens to a longer row: set aside, or its `input` shortened. Answers are never cut."""
    pack: PositiveInt | None = None
    """Tokens of a packed micro-batch: whole pairs fill it; none takes --batch pairs instead."""
    template: TemplateChoice = None
    """File of another chat template than the model's own; plain: question and answer lines."""
    study_prompt: bool = False
    """Put the study's system prompt before every question, in the question's language."""
    checked_only: bool = False
    """Leave out pairs that failed one of the checks that their teacher's stage recorded."""
    max_news: float | None = None
    """Leave out pairs whose answer reads more like news than this (log-odds a letter; 0: even)."""
    checkpointing: Annotated[bool, HOW] = False
    """Compute each layer again in the backward pass: less memory, about a third more time."""
    vocab_block: Annotated[PositiveInt, HOW] = 8192
    """Vocabulary rows that the loss holds at a time; memory only, never the result."""
    threads: Annotated[PositiveInt | None, HOW] = None
    """Threads of the matrix products; none means every free core."""
    memory_limit: Annotated[Bytes | None, HOW] = None
    """Most memory that the run may use, for example 2GB: planned before, and enforced."""
    heldout_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the paragraphs, in each language, whose pairs are kept out of training."""
    eval_every: PositiveInt = 20
    """Steps between two measurements of the held-out loss."""
    save_every: Annotated[PositiveInt, HOW] = 10
    """Steps between two checkpoints."""
    keep_checkpoints: Annotated[PositiveInt, HOW] = 2
    """Newest checkpoints that are kept while the run goes on."""
    keep: Literal["last", "best-loss", "best-behaviour"] = "last"
    """Which weights become the student: the last, or the best at a held-out or behaviour check."""
    alarm: Literal["off", "log", "stop", "rollback"] = "off"
    """What happens when behaviour falls while the loss improves; off: behaviour is not measured."""
    alarm_rule: Literal["once", "twice"] = "once"
    """What rings: one check far below its bound, or two checks in a row below a nearer one."""
    checks: PositiveInt = 20
    """Behaviour checks in the whole run, spread evenly; their bounds hold for all together."""
    replay: float = Field(default=0.0, ge=0, lt=1)
    """Share of tokens that come from the role `replay`: pairs of what is not to be forgotten."""
    kl_base: float = Field(default=0.0, ge=0)
    """Weight of KL(base || student) on the answers: holds the student near its base."""
    kl_target: PositiveFloat | None = None
    """KL in nats a token that --kl-base is steered towards; none keeps the weight as it is."""
    kl_stop: PositiveFloat | None = None
    """Stop once KL(student || base) on held-out answers reaches this, in nats a token."""
    average: float = Field(default=1.0, ge=0, le=1)
    """Share of the learned change that is saved: 0 is the base, 1 the tuned student."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay a step of a running mean of what is trained, which is then saved; none: no mean."""
    kd_weight: float = Field(default=0.0, ge=0, le=1)
    """Weight of a teacher's stored token probabilities (role `targets`), against the answers'."""
    kd_temperature: PositiveFloat = 1.0
    """Temperature of the teacher's probabilities."""
    kd_direction: Literal["forward", "reverse"] = "forward"
    """Forward: the student covers all that the teacher says; reverse: it says nothing else."""
    languages: tuple[Lang, ...] | None = None
    """Languages to train on; none means those that the model carries."""
    subject: str | None = None
    """Name of the student in tables; none derives it from the model's."""
    seed: NonNegativeInt = 0
    """Seed of the adapters' start, dropout, the held-out split and the order of the pairs."""
    track: Annotated[Literal["mlflow", "tensorboard"] | None, HOW] = None
    """Show the run in another tool too; none: `events.jsonl` alone."""

    @model_validator(mode="before")
    @classmethod
    def _epochs_stand_for_steps(cls, values: Any) -> Any:
        """Epochs alone leave no place for the default number of steps."""
        if isinstance(values, dict) and values.get("epochs") not in (None, "none"):
            return {"steps": None, **values}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give one of steps and epochs")
        if self.method == "full":
            for name in ("base", "embedding"):
                if getattr(self, name) not in ("auto", "float"):
                    raise ValueError(f"method full trains every weight: {name} must be float")
            if self.average != 1.0:
                raise ValueError("method full has no adapter to scale: average must be 1")
            if self.kl_base or self.kl_stop:
                raise ValueError("method full keeps no base to compare with: no kl_base, kl_stop")
            if self.dropout:
                raise ValueError("dropout acts on adapters' inputs: method full has none")
        if self.keep == "best-behaviour" and self.alarm == "off":
            raise ValueError("keep best-behaviour needs behaviour checks: set alarm to log")
        if self.keep == "best-loss" and not self.heldout_share:
            raise ValueError("keep best-loss needs held-out pairs: heldout_share must not be 0")
        if self.method == "dora" and self.average != 1.0:
            raise ValueError("average scales a product B A: DoRA's change is not only that")
        if self.kl_target is not None and not self.kl_base:
            raise ValueError("kl_target steers kl_base: give kl_base a first weight")
        if self.kl_stop is not None and not self.heldout_share:
            raise ValueError("kl_stop is measured on held-out pairs: heldout_share must not be 0")
        return self
