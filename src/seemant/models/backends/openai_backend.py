"""Any OpenAI-compatible server as a backend: it generates, and gives no likelihoods.

The key, where a server wants one, comes from the environment variable SEEMANT_API_KEY and is
never written anywhere.
"""

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import InputError, NoAnswer
from seemant.models.backends.loop import one_by_one
from seemant.models.backends.openai_address import read_address, read_key, without_secrets
from seemant.models.backends.openai_http import post, post_stream
from seemant.models.backends.openai_reply import (
    choice_in,
    generation_in,
    reason_in,
    text_in,
    usage_in,
)
from seemant.models.backends.openai_settings import mended
from seemant.models.backends.protocol import (
    Done,
    FinishReason,
    Generation,
    Likelihood,
    Sampling,
    Task,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAI:
    """A model behind an address such as http://127.0.0.1:8000/v1.

    api: "chat" sends a prompt as one user message; "completions" sends its bare text.
    timeout_s: for one whole try, generation included. retries: tries after the first.
    """

    base_url: str
    model: str
    api: Literal["chat", "completions"] = "chat"
    timeout_s: float = 120.0
    retries: int = 3
    name: str = "openai"
    _refused: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def from_address(cls, address: str) -> Self:
        """Return the backend of "BASE_URL#MODEL", with or without "openai:" before it.

        Raises:
            InputError: no model is named, the address is none, or no header can carry the key.
        """
        url, _, model = address.removeprefix("openai:").partition("#")
        if not url or not model.strip():
            raise InputError(
                f"no address and model in {without_secrets(address)!r}",
                fix="write http://127.0.0.1:8000/v1#MODEL",
            )
        read_address(url)
        read_key()
        return cls(base_url=url.rstrip("/"), model=model.strip())

    def generate(self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()) -> Generation:
        """Return the answer to a prompt, as `chat` does."""
        return self.chat([{"role": "user", "content": prompt}], sampling, stop)

    def chat(
        self, messages: Sequence[Mapping[str, str]], sampling: Sampling, stop: Sequence[str] = ()
    ) -> Generation:
        """Return the answer to a conversation of {role, content}.

        Raises:
            NoAnswer: the server refuses this one request, or has no answer to it.
            ServerDown: no usable answer after all tries.
            InputError: the address, the key or the model's name is wrong.
        """
        body = self._body(messages, sampling, stop)
        while True:
            for said in self._refused:
                found = mended(body, said)
                body = found[0] if found else body
            try:
                return post(
                    self.base_url,
                    self._place(),
                    body,
                    generation_in,
                    key=read_key(),
                    timeout_s=self.timeout_s,
                    retries=self.retries,
                )
            except NoAnswer as error:
                found = mended(body, error.what) if error.final else None
                if found is None:
                    raise
                if error.what not in self._refused:
                    self._refused.append(error.what)
                    _log.warning(
                        "the server takes no %r: it is left out (%s)", found[1], error.what
                    )

    def generate_stream(
        self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()
    ) -> Generator[str, None, Generation]:
        """Yield the answer in pieces; its return value sums it up."""
        body = self._body([{"role": "user", "content": prompt}], sampling, stop)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        shown: list[str] = []
        reason: FinishReason = "length"
        usage = (0, 0)
        for event in post_stream(
            self.base_url, self._place(), body, key=read_key(), timeout_s=self.timeout_s
        ):
            if event.get("usage"):
                usage = usage_in(event)
            choice = choice_in(event)
            if choice is None:
                continue
            if text := text_in(choice, "delta"):
                shown.append(text)
                yield text
            if choice.get("finish_reason"):
                reason = reason_in(choice)
        return Generation(
            text="".join(shown), finish_reason=reason, n_prompt=usage[0], n_new=usage[1]
        )

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Refuse: a server gives no token ids."""
        self._cannot("give token ids")

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
        """Yield what came of each task, one after another; see `Backend`."""
        return one_by_one(self, tasks)

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        """Refuse: a server gives no likelihood of a given text."""
        self._cannot("score a given text")

    def logprobs(self, tokens: Sequence[int], first: int) -> Iterator[NDArray[np.float32]]:
        """Refuse: a server gives no whole-vocabulary probabilities."""
        self._cannot("give the whole vocabulary's probabilities")

    def close(self) -> None:
        """Do nothing: every request has its own connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _place(self) -> str:
        return "chat/completions" if self.api == "chat" else "completions"

    def _body(
        self, messages: Sequence[Mapping[str, str]], sampling: Sampling, stop: Sequence[str]
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            "seed": sampling.seed,
        }
        if self.api == "chat":
            body["messages"] = [dict(message) for message in messages]
        else:
            body["prompt"] = "\n\n".join(message["content"] for message in messages)
        if stop:
            body["stop"] = list(stop)
        if sampling.repetition_penalty != 1.0:  # no part of OpenAI's API; vLLM and llama.cpp
            body["repetition_penalty"] = sampling.repetition_penalty
        return body

    def _cannot(self, what: str) -> NoReturn:
        raise InputError(
            f"an OpenAI-compatible server cannot {what}",
            where=self.base_url,
            fix="use a model file with the llamacpp or torch backend",
        )
