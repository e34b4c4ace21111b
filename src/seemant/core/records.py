"""The records that flow between stages: one JSON object a line, UTF-8, NFC."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from seemant.core.hashing import text_sha256

Lang = Literal["hi", "kn", "en"]
LANGUAGES: tuple[Lang, ...] = ("hi", "kn", "en")


def nfc(text: str) -> str:
    """Return the text in Unicode's NFC; plain ASCII is that already."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


Text = Annotated[str, AfterValidator(nfc)]
Filled = Annotated[Text, Field(min_length=1)]


class Record(BaseModel):
    """One line of a data file. Unknown fields are left aside: other tools add theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Paragraph(Record):
    """A piece of raw text. `offset` is its first byte in `source`, where it came from a file."""

    id: Filled
    lang: Lang
    text: Filled
    source: Text = ""
    offset: int | None = None
    subject: Text | None = None
    style: Text | None = None


class Pair(Record):
    """An instruction and its answer, in Alpaca's fields, with where it came from."""

    instruction: Filled
    input: Text = ""
    output: Filled
    id: Text = ""
    lang: Lang
    paragraph_id: Text = ""
    teacher: Text = ""
    checks: dict[str, bool] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """The pair's identity: its id, or a hash of its content where it has none."""
        return self.id or text_sha256(f"{self.instruction}\0{self.input}\0{self.output}")[:12]


class Probe(Record):
    """A question with its accepted answers; `id` is FAMILY.LANG, one family in several languages.

    `accepted[0]` is the canonical answer that is scored by likelihood. An empty list marks a
    question without a stable answer: its replies are read, never scored as right or wrong.
    """

    id: Filled
    lang: Lang
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
