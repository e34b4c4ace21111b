"""Parameters of a study laid into its text: `${name}`, and `${name.0}` of a list."""

import re
from typing import Any

from seemant.core.errors import BadConfig, nearest
from seemant.study.languages import in_words

Scalar = str | int | float | bool | list[str] | None
_REFERENCE = re.compile(r"\$\{([a-z_][a-z0-9_]*)(?:\.([0-9]+))?\}")


def filled(value: Any, params: dict[str, Scalar]) -> Any:
    """Lay parameters into a setting, into the words of a list too."""
    if isinstance(value, list):
        return [fill(each, params) for each in value]
    return fill(value, params)


def fill(value: Any, params: dict[str, Scalar]) -> Any:
    """Lay parameters into `${name}`; a value that is nothing else keeps the parameter's type."""
    if not isinstance(value, str):
        return value
    if whole := _REFERENCE.fullmatch(value):
        return _parameter(whole, params)
    return _REFERENCE.sub(lambda match: in_words(_parameter(match, params)), value)


def _parameter(reference: re.Match[str], params: dict[str, Scalar]) -> Any:
    name, at = reference[1], reference[2]
    if name not in params:
        raise BadConfig(f"unknown parameter ${{{name}}}", fix=nearest(name, params))
    value = params[name]
    if at is None:
        return value
    if not isinstance(value, list) or int(at) >= len(value):
        raise BadConfig(f"${{{name}.{at}}} asks for more than {name} holds: {value}")
    return value[int(at)]
