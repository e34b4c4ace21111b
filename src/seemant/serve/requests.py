"""What clients may ask, in OpenAI's words; what cannot be honoured is refused, not ignored."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seemant.core.records import Lang
from seemant.models.backends.protocol import Sampling

DEFAULT_MAX_TOKENS = 256
UNBOUNDED = 1 << 30
MostTokens = Annotated[Literal[-1] | Annotated[int, Field(ge=1)] | None, Field()]


class Refusal(Exception):
    """A request that gets an error instead of an answer, with its HTTP status.

    param: the field that is wrong. code: OpenAI's word for the fault. headers: what goes with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = {"Retry-After": "1"} if status == 503 and headers is None else headers or {}


Nothing = Annotated[list[Any], Field(max_length=0)] | None  # null or an empty list
Zero = Annotated[float, Field(ge=0, le=0)] | None  # 0.0 is 0, as clients write it


class TextPart(BaseModel):
    """One part of a message in parts; other kinds than text cannot be read."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class Message(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None
    tool_calls: Nothing = None
    function_call: None = None

    @property
    def text(self) -> str:
        """The turn's whole text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or ())

    @model_validator(mode="after")
    def _says_something(self) -> "Message":
        if self.content is None and self.role != "assistant":
            raise ValueError("content is missing")
        return self


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    include_usage: bool | None = None


class _Request(BaseModel):
    """The settings that both kinds of request share. The default is greedy."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=4)
    seed: int | None = None
    stop: Annotated[list[str], Field(max_length=16)] | str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: MostTokens = None

    # Asking for these changes the answer, so leaving them out quietly would be a lie.
    n: Literal[1] | None = None
    best_of: Literal[1] | None = None
    logprobs: Literal[False, 0] | None = None
    top_logprobs: Literal[0] | None = None
    presence_penalty: Zero = None
    frequency_penalty: Zero = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    @property
    def wanted_tokens(self) -> int:
        """How many tokens the client wants at most."""
        return _most(self.max_tokens)

    @property
    def stops(self) -> list[str]:
        """The client's stop strings."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in given if stop]  # an empty one would end everything at once

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def sampling(self, room: int) -> Sampling:
        """Return the settings as the backends take them, where `room` more tokens fit."""
        return Sampling(
            temperature=0.0 if self.top_p == 0 else self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            max_new_tokens=min(self.wanted_tokens, room),
            seed=abs(self.seed or 0),
        )


class ChatRequest(_Request):
    """A conversation to be continued. `lang` (ours) fixes the plain prompt's language."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: MostTokens = None
    lang: Lang | None = None
    tools: Nothing = None
    functions: Nothing = None
    response_format: dict[Literal["type"], Literal["text"]] | None = None
    chat_template_kwargs: Annotated[dict[str, Any], Field(max_length=0)] | None = None

    @property
    def wanted_tokens(self) -> int:
        """How many tokens the client wants at most."""
        return _most(self.max_completion_tokens or self.max_tokens)

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> "ChatRequest":
        if self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        return self


class CompletionRequest(_Request):
    """A bare text to be continued."""

    prompt: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(max_length=1)]
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None

    @property
    def text(self) -> str:
        """The text to continue; some clients send it as a list of one."""
        return self.prompt if isinstance(self.prompt, str) else "".join(self.prompt)

    @model_validator(mode="after")
    def _has_a_text(self) -> "CompletionRequest":
        if not self.text:
            raise ValueError("the prompt is empty")
        return self


def _most(tokens: int | None) -> int:
    """Return how many tokens are wanted; -1, as some clients write it, is all that fit."""
    return UNBOUNDED if tokens == -1 else tokens or DEFAULT_MAX_TOKENS


def read_request(kind: type[ChatRequest] | type[CompletionRequest], body: bytes) -> Any:
    """Return a request of that kind.

    Raises:
        Refusal: 400, naming the field that is wrong.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors()
        # a content is a text or parts: of parts, the part's own fault says more than "not a text"
        first = next((each for each in faults if each["loc"][-1:] == ("type",)), faults[0])
        where = [str(part) for part in first["loc"]]
        field = ".".join(where) or "the body"
        param = where[0] if where else None
        why = _why(first["type"], where, first["msg"])
        raise Refusal(400, f"{field}: {why}", param=param) from error


def _why(kind: str, where: list[str], said: str) -> str:
    """Return what is wrong with a field: that it is not done here, or the validator's words."""
    if where[-1:] == ["type"] and "content" in where:
        return "only text parts are read here"
    not_done = kind in ("too_long", "none_required", "literal_error")
    if (not_done and where and where[0] not in ("stop", "messages")) or "tool_calls" in where:
        return "not done here; leave it out"
    return said
