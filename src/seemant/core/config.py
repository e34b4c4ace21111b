"""Typed configurations, and errors that name the key, the line and the nearest valid key."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from seemant.core.errors import BadConfig, BadFile, nearest

if TYPE_CHECKING:
    import yaml

Key = tuple[str | int, ...]
C = TypeVar("C", bound=BaseModel)

_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(value: Any) -> Any:
    """Return the bytes that "3.2GB" or "200 MB" says; anything else as it is."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMG]i?B)\s*", value, flags=re.IGNORECASE)
    return float(found[1]) * _UNITS[found[2].upper()] if found else value


Bytes = Annotated[float, BeforeValidator(parse_bytes), Field(gt=0)]
"""A size in bytes that a person may write as 3.2GB or 200MB."""


class _How:
    """The mark of a setting that says how a question is answered, not what is asked."""


HOW = _How()
"""`Annotated[int, HOW]`: another value is the same question, whose work so far goes on."""


class Config(BaseModel):
    """A stage's settings: frozen, typed, unknown keys are errors. Flags and YAML come from it.

    A field is part of the question that a stage answers, unless it is marked as `HOW`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True
    )

    def asked(self) -> dict[str, Any]:
        """Return the settings that are part of the question, as JSON."""
        return self.model_dump(mode="json", exclude=how_fields(type(self)))

    def given(self) -> dict[str, Any]:
        """Return the settings that were given, as JSON: a config of them knows what was."""
        return self.model_dump(mode="json", exclude_unset=True)

    @model_validator(mode="before")
    @classmethod
    def _none_is_none(cls, values: Any) -> Any:
        """Read the word "none" as no value, so that the command line can say it too."""
        if not isinstance(values, dict):
            return values
        return {key: None if value == "none" else value for key, value in values.items()}


def how_fields(kind: type[Config]) -> set[str]:
    """Return the names of a config's settings that are no part of the question."""
    return {name for name, field in kind.model_fields.items() if HOW in field.metadata}


def load_yaml(path: Path) -> tuple[Any, dict[Key, int]]:
    """Return a YAML file's value and the line on which each of its keys stands.

    Raises:
        BadFile: the file is missing or is not text.
        BadConfig: it is not YAML, or says a key twice.
    """
    import yaml  # most commands read none

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadFile("no such file", where=str(path), fix="check the path") from error
    except UnicodeDecodeError as error:
        raise BadFile("not a UTF-8 text file", where=str(path)) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise BadConfig(f"not valid YAML: {problem}", where=f"{path}{line}") from error
    lines: dict[Key, int] = {}
    if node is not None:
        _note_lines(node, (), lines, path)
    return value, lines


def validate(kind: type[C], value: Any, *, where: str, lines: dict[Key, int], at: Key = ()) -> C:
    """Return `value` as a config of type `kind`.

    `where` names the file; `lines` gives the line of each key; `at` is where in the file `value`
    stands.

    Raises:
        BadConfig: names the key, its line and, for an unknown key, the nearest valid one.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        # A key that is unknown explains one that is missing: it is named first.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        key = (*at, *first["loc"])
        place = f"{where}:{_line(lines, key)}" if lines else where
        dotted = ".".join(str(part) for part in key) or "(the whole file)"
        if first["type"] == "extra_forbidden":
            known = _fields_at(kind, first["loc"][:-1])
            what = f"unknown key {dotted!r}"
            raise BadConfig(what, where=place, fix=nearest(str(key[-1]), known)) from error
        ours = (first.get("ctx") or {}).get("error")
        cause = ours.__cause__ if isinstance(ours, ValueError) else None
        if isinstance(cause, BadConfig):  # it shows of the value what may be shown
            raise BadConfig(f"{dotted}: {cause.what}", where=place, fix=cause.fix) from error
        got = f", got {first['input']!r}" if first["type"] != "missing" else ""
        raise BadConfig(f"{dotted}: {first['msg']}{got}", where=place) from error


def _note_lines(node: "yaml.Node", at: Key, lines: dict[Key, int], path: Path) -> None:
    import yaml

    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if key_node.value in seen:
                raise BadConfig(f"the key {key_node.value!r} stands twice", where=f"{path}:{line}")
            seen.add(key_node.value)
            lines[(*at, key_node.value)] = line
            _note_lines(child, (*at, key_node.value), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _note_lines(child, (*at, index), lines, path)


def _line(lines: dict[Key, int], key: Key) -> int:
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 1)


def _fields_at(kind: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    for part in loc:
        field = kind.model_fields.get(str(part))
        inner = field.annotation if field else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            kind = inner
    return list(kind.model_fields)
