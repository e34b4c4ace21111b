"""Model references: the one way in which every command and study names a model."""

import re
from dataclasses import dataclass
from pathlib import Path

from seemant.core.errors import UnknownModel, nearest

SCHEMES = {
    "embedded": "embedded:gemma-3-270m",
    "hf": "hf:OWNER/NAME[@REVISION]",
    "path": "path:FOLDER_OR_FILE.gguf",
    "run": "run:FOLDER",
    "config": "config:OWNER/NAME",
    "openai": "openai:http://127.0.0.1:8000/v1#MODEL",
    "vllm": "vllm:OWNER/NAME",
}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A parsed reference: `scheme:name[@revision]`; for `openai`, `name` is URL#MODEL."""

    scheme: str
    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" + (f"@{self.revision}" if self.revision else "")


def parse_ref(text: str) -> ModelRef:
    """Return the reference that a user wrote; a bare existing path means `path:`.

    Raises:
        UnknownModel: no known scheme, or nothing behind it; the message lists the forms.
    """
    scheme, colon, name = text.partition(":")
    shown = re.sub(r"//[^/\s]*@", "//***@", text)  # a password in an address is not repeated
    if not colon or scheme not in SCHEMES:
        if Path(text).exists():
            return ModelRef("path", text)
        forms = ", ".join(SCHEMES.values())
        hint = f"{nearest(scheme, SCHEMES)}; " if colon else ""
        raise UnknownModel(f"unknown model {shown!r}", fix=f"{hint}forms: {forms}")
    if not name:
        raise UnknownModel(f"nothing stands behind {text!r}", fix=f"write {SCHEMES[scheme]}")
    if scheme == "openai" and "#" not in name:
        raise UnknownModel(f"no model named in {shown!r}", fix=f"write {SCHEMES[scheme]}")
    if scheme == "hf" and "@" in name:
        name, _, revision = name.partition("@")
        return ModelRef(scheme, name, revision)
    return ModelRef(scheme, name)


def short_name(ref: str) -> str:
    """Return what tables call a model: "embedded:gemma-3-270m" -> "gemma-3-270m".

    The last part of the reference, without a revision or the suffix .gguf; a file called
    model.gguf is known by its folder, and a server's model by what stands behind the "#".
    """
    scheme, colon, name = ref.partition(":")
    name = name if colon else ref
    if scheme == "openai":
        name = name.rpartition("#")[2]
    if scheme == "hf":
        name = name.partition("@")[0]
    path = Path(name).absolute()  # "." and "model.gguf" have a folder's name too
    if path.name == "model.gguf":
        path = path.parent
    return path.name.removesuffix(".gguf") or ref
