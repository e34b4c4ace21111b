"""The records that flow between stages: one JSON object a line, UTF-8, NFC."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from seemant.core.hashing import text_sha256

Lang = Literal["hi", "kn", "en"]
LANGUAGES: tuple[Lang, ...] = ("hi", "kn", "en")


def nfc(text: str) -> str:
    """Return the text in Unicode's NFC; plain ASCII is that already."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def number_as_text(value: Any) -> Any:
    """Return a whole number as its digits: tables make numbers of ids. 17.0 is 17, too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if value == value // 1 else str(value)


def language_code(value: Any) -> Any:
    """Return the code of a language in the ways in which people write it: "Hindi", "hi-IN"."""
    if not isinstance(value, str):
        return value
    first = value.strip().lower().replace("_", "-").partition("-")[0]
    return _LANGUAGE_NAMES.get(first, value)


_LANGUAGE_NAMES: dict[str, Lang] = {
    **{name: "hi" for name in ("hi", "hin", "hindi", "हिन्दी", "हिंदी")},
    **{name: "kn" for name in ("kn", "kan", "kannada", "ಕನ್ನಡ")},
    **{name: "en" for name in ("en", "eng", "english")},
}

Text = Annotated[str, AfterValidator(nfc)]
Filled = Annotated[Text, Field(min_length=1)]
Id = Annotated[Text, BeforeValidator(number_as_text)]
FilledId = Annotated[Filled, BeforeValidator(number_as_text)]
Language = Annotated[Lang, BeforeValidator(language_code)]


class Record(BaseModel):
    """One line of a data file. Unknown fields are left aside: other tools add theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Brought(Record):
    """A record that people bring: null and NaN, as tables write empty cells, are absent."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {k: v for k, v in values.items() if v is not None and v == v}  # NaN is not itself


class Paragraph(Brought):
    """A piece of raw text. `offset` is its first byte in `source`, where it came from a file."""

    id: FilledId
    lang: Language
    text: Filled
    source: Text = ""
    offset: int | None = None
    subject: Text | None = None
    style: Text | None = None


class Pair(Brought):
    """An instruction and its answer, in Alpaca's fields, with where it came from."""

    instruction: Filled
    input: Text = ""
    output: Filled
    id: Id = ""
    lang: Language
    paragraph_id: Id = ""
    teacher: Text = ""
    checks: dict[str, bool] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """The pair's identity: its id, or a hash of its content where it has none."""
        return self.id or text_sha256(f"{self.instruction}\0{self.input}\0{self.output}")[:12]


class Probe(Brought):
    """A question with its accepted answers; `id` is FAMILY.LANG, one family in several languages.

    `accepted[0]` is the canonical answer that is scored by likelihood. An empty list marks a
    question without a stable answer: its replies are read, never scored as right or wrong.
    """

    id: FilledId
    lang: Language
    category: Filled
    question: Filled
    accepted: tuple[Filled, ...]
    distractors: tuple[Filled, ...]
    known_stable_since: Text | None = None

    @property
    def family(self) -> str:
        """The cluster of all statistics: one fact, in whatever language it is asked."""
        return self.id.rsplit(".", 1)[0]


class Transcript(Record):
    """What a model answered to a probe, and everything needed to ask it again."""

    probe_id: Filled
    lang: Lang
    model: Filled
    backend: Filled
    template_hash: Filled
    system_prompt_hash: Text | None
    sampling: dict[str, float | int | str]
    seed: int
    question: Filled
    output: Text
    finish_reason: Literal["stop", "length"]
