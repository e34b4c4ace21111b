"""What clients may ask, in OpenAI's words; what cannot be honoured is refused, not ignored."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seemant.core.records import Lang
from seemant.models.backends.protocol import Sampling

DEFAULT_MAX_TOKENS = 256


class Refusal(Exception):
    """A request that gets an error instead of an answer, with its HTTP status."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class TextPart(BaseModel):
    """One part of a message in parts; other kinds than text cannot be read."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """The turn's whole text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    include_usage: bool = False


class _Request(BaseModel):
    """The settings that both kinds of request share. The default is greedy."""

    model_config = ConfigDict(extra="ignore")

    model: str = ""
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=4)
    seed: int | None = None
    stop: Annotated[list[str], Field(max_length=16)] | str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)

    # Asking for these changes the answer, so leaving them out quietly would be a lie.
    n: Literal[1] | None = None
    logprobs: Literal[False, 0] | None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    @property
    def wanted_tokens(self) -> int:
        """How many tokens the client wants at most."""
        return self.max_tokens or DEFAULT_MAX_TOKENS

    @property
    def stops(self) -> list[str]:
        """The client's stop strings."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or [])

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, room: int) -> Sampling:
        """Return the settings as the backends take them, where `room` more tokens fit."""
        return Sampling(
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            max_new_tokens=min(self.wanted_tokens, room),
            seed=abs(self.seed or 0),
        )


class ChatRequest(_Request):
    """A conversation to be continued. `lang` (ours) fixes the plain prompt's language."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: int | None = Field(default=None, ge=1)
    lang: Lang | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    response_format: dict[Literal["type"], Literal["text"]] | None = None

    @property
    def wanted_tokens(self) -> int:
        """How many tokens the client wants at most."""
        return self.max_completion_tokens or self.max_tokens or DEFAULT_MAX_TOKENS

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> "ChatRequest":
        if self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        return self


class CompletionRequest(_Request):
    """A bare text to be continued."""

    prompt: Annotated[str, Field(min_length=1)]
    echo: Literal[False] | None = None
    suffix: None = None


def read_request(kind: type[ChatRequest] | type[CompletionRequest], body: bytes) -> Any:
    """Return a request of that kind.

    Raises:
        Refusal: 400, naming the field that is wrong.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Refusal(400, f"{field}: {first['msg']}") from error
