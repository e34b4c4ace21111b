"""The languages of a study: its parameter `languages`, laid into every node that has the setting.

A node's own list is narrowed to them. A node that is left with none is left out, and so is what
cannot be made without it.
"""

from collections.abc import Mapping
from typing import Any

from seemant.core.config import Config
from seemant.core.errors import BadConfig, nearest
from seemant.core.records import LANGUAGES, Lang
from seemant.frontier.languages import language

PARAMETER = "languages"
_KEYS = (PARAMETER, "lang")  # what stages call the setting


def chosen_languages(params: Mapping[str, Any]) -> tuple[Lang, ...] | None:
    """Return the languages that a study is about; None where it has no such parameter.

    Raises:
        BadConfig: none is named, or one that is not carried.
    """
    if PARAMETER not in params:
        return None
    return listed(PARAMETER, params[PARAMETER])


def listed(name: str, value: Any) -> tuple[Lang, ...]:
    """Return a list of languages as a user may write it: [hi, kn], hi, "hi,kn".

    Raises:
        BadConfig: it is empty, or names a language that is not carried.
    """
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    known = {lang: lang for lang in LANGUAGES} | {
        language(lang).lower(): lang for lang in LANGUAGES
    }
    where = f"--set {name}"
    if not isinstance(words, list | tuple) or not words:
        raise BadConfig(
            f"no language in {value!r}", where=where, fix=f"--set {name}=hi (or several: hi,kn)"
        )
    for word in words:
        if str(word).lower() not in known:
            raise BadConfig(
                f"the language {word!r} is not carried",
                where=where,
                fix=nearest(str(word).lower(), LANGUAGES),
            )
    return tuple(dict.fromkeys(known[str(word).lower()] for word in words))


def narrowed_params(params: Mapping[str, Any], languages: tuple[Lang, ...]) -> dict[str, Any]:
    """Return the parameters, where each list of languages keeps those of the study.

    A list that would lose all its languages takes the study's instead: who asks for English alone
    wants English taught.
    """
    found = dict(params)
    for name, value in params.items():
        if isinstance(value, list | tuple) and value and set(value) <= set(LANGUAGES):
            found[name] = [lang for lang in value if lang in languages] or list(languages)
    return found


def laid_in(
    config: dict[str, Any], kind: type[Config], languages: tuple[Lang, ...]
) -> dict[str, Any] | None:
    """Return a node's settings with the study's languages; None where none of its own is left.

    kind: the stage's settings. A stage whose default is all languages, or those of its input, gets
    the study's; a default that means something else (the languages a model's file states) stays.
    """
    found = dict(config)
    for key in _KEYS:
        field = kind.model_fields.get(key)
        if field is None:
            continue
        own = found.get(key, field.default)
        if key not in found and own == ():
            continue
        kept = list(languages) if own is None else [lang for lang in own if lang in languages]
        if not kept:
            return None
        if key in found or own is None or set(kept) != set(own):
            found[key] = kept
    return found


def without(inputs: Mapping[str, str], left_out: Mapping[str, str]) -> dict[str, str] | str:
    """Return a node's inputs without what is left out; or the name of one that it cannot lack.

    Of a role that takes many, everything under one name falls away with any part of it.
    """
    gone = [role for role, text in inputs.items() if text in left_out]
    needed = [inputs[role] for role in gone if "/" not in role]
    if needed:
        return needed[0]
    names = {role.partition("/")[2] for role in gone}
    return {role: text for role, text in inputs.items() if role.partition("/")[2] not in names}


def in_words(value: Any) -> str:
    """Return a parameter as it stands in a sentence: languages by name, anything else as text."""
    if not isinstance(value, list | tuple):
        return str(value)
    words = [language(str(each)) for each in value]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
