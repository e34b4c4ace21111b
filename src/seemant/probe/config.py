"""The settings of a probe."""

from typing import Annotated, Literal

from pydantic import NonNegativeInt, PositiveInt

from seemant.core.config import HOW, Config
from seemant.core.records import LANGUAGES, Lang
from seemant.models.chat_words import TemplateChoice


class ProbeConfig(Config):
    """Ask a model the probe families: greedy answers, likelihood margins, a diagnosis each."""

    languages: tuple[Lang, ...] = LANGUAGES
    """Languages to ask in; leave out those that the model's tokenizer does not carry."""
    max_new_tokens: PositiveInt = 32
    """Longest answer, in tokens."""
    generate: bool = True
    """Let the model answer, greedily, and judge what it says."""
    likelihood: bool = True
    """Score the right answer against the distractors by likelihood."""
    study_preset: bool = False
    """Ask a dozen queries again as the original study did: sampled, with its system prompt."""
    families: PositiveInt | None = None
    """Only the first so many families; none means all."""
    template: TemplateChoice = None
    """File of another chat template than the model's own; plain: question and answer lines."""
    subject: str | None = None
    """What the measurements call the model; none means its reference's own name."""
    backend: Literal["llamacpp", "torch"] = "llamacpp"
    """The engine that answers; llama.cpp is what is deployed."""
    context: PositiveInt = 2048
    """Tokens that prompt and answer may fill together."""
    threads: Annotated[PositiveInt, HOW] = 1
    """Threads of the engine; more than free cores makes llama.cpp many times slower."""
    seed: NonNegativeInt = 0
    """Seed of sampled answers and of permutation tests."""
