"""A flag's wrong value in the project's own words: what, where, what to do; not pydantic's."""

from collections.abc import Mapping
from typing import Any

from cyclopts import Argument, CycloptsError
from pydantic import ValidationError

from seemant.core.errors import BadConfig

_RAISED = "Value error, "  # what pydantic writes before a validator's own words
_JUDGED = "Input should "  # and before its own


def wrong_value(error: CycloptsError) -> BadConfig | None:
    """Return what a wrong setting means to a user; None where the parser itself says it well.

    A command's settings are one pydantic model, whose fields are flags: the model refuses a value,
    or several that cannot go together (then it names none, and all that were given are named).
    """
    refused = error.__cause__
    if not isinstance(refused, ValidationError):
        return None
    first = refused.errors()[0]
    flags = _flags(error.argument)
    ours = _ours(first)
    asked = first["input"] if isinstance(first["input"], Mapping) else {}
    keys = [str(first["loc"][0])] if first["loc"] else [str(key) for key in asked]
    if not first["loc"] and ours and ours.where in flags:
        keys = [ours.where]
    named = [flags[key][0] if key in flags else _as_flag(key) for key in keys]
    fix = f"see seemant {' '.join(error.command_chain or ())} --help"
    if first["loc"] and keys[0] in flags and flags[keys[0]][1]:
        fix = f"{named[0]}: {flags[keys[0]][1]}"
    return BadConfig(
        ours.what if ours else _what(first),
        where=", ".join(named) or None,
        fix=ours.fix if ours and ours.fix else fix,
    )


def _flags(settings: Argument | None) -> dict[str, tuple[str, str]]:
    """Return each field's flag and what its help says."""
    if settings is None:
        return {}
    return {
        each.keys[-1]: (each.name, " ".join((each.parameter.help or "").split()))
        for each in settings.children
        if each.keys
    }


def _as_flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _ours(refusal: Mapping[str, Any]) -> BadConfig | None:
    """Return the error of ours that a validator told pydantic of, whole."""
    raised = refusal.get("ctx", {}).get("error")
    cause = raised.__cause__ if isinstance(raised, ValueError) else None
    return cause if isinstance(cause, BadConfig) else None


def _what(refusal: Mapping[str, Any]) -> str:
    said = str(refusal["msg"])
    if said.startswith(_JUDGED):
        return f"{refusal['input']!r} should {said.removeprefix(_JUDGED)}"
    return said.removeprefix(_RAISED)
