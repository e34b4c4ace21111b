"""What a study lacks before it can run, each with the command that mends it.

A language without text, a model or a file that is not there, a package that is not installed:
everything that can be known before any work is asked here, by `study plan` and by `study run`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from seemant.core.errors import InputError, SeemantError
from seemant.study.command import as_command
from seemant.study.inputs import as_input, role_kind
from seemant.study.own_text import text_lacks
from seemant.study.spec import Node, Study
from seemant.study.stages import stage_named


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is missing: what, where, and what to do."""

    what: str
    where: str | None
    fix: str | None


def lacks(study: Study, *, pending: Collection[str] = ()) -> list[Lack]:
    """Return everything that a study lacks; nothing is run, models are not opened.

    pending: models that are known and only wait for `seemant models fetch`; they are passed over.
    """
    found = [*_inputs(study, pending), *_settings(study)]
    return found or [Lack(e.what, e.where, e.fix) for e in text_lacks(study)]


def refuse(found: list[Lack]) -> None:
    """Raise what is lacking; nothing where nothing is.

    Raises:
        InputError: the first one, and how many more there are.
    """
    if not found:
        return
    first, rest = found[0], found[1:]
    more = [f"also: {each.what}" + (f" (fix: {each.fix})" if each.fix else "") for each in rest]
    raise InputError("\n  ".join([first.what, *more]), where=first.where, fix=first.fix)


def _inputs(study: Study, pending: Collection[str]) -> Iterator[Lack]:
    """Yield each file and model that is not there, once, with the nodes that take it."""
    takers: dict[tuple[str, str], list[str]] = {}
    for node in study.nodes.values():
        for role, text in node.inputs.items():
            if text not in study.nodes and text not in pending:
                kind = role_kind(stage_named(node.stage), role)
                takers.setdefault((text, kind), []).append(node.name)
    for (text, kind), nodes in takers.items():
        try:
            as_input(text, kind)
        except SeemantError as error:
            others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
            who = f"{text}, which {nodes[0]}{others} of the study's nodes need"
            yield Lack(f"{who}: {error.what}", error.where, error.fix)


def _settings(study: Study) -> Iterator[Lack]:
    packages: dict[tuple[str, str], list[str]] = {}
    for node in study.nodes.values():
        teacher = str(getattr(node.config, "teacher", ""))
        served = teacher.startswith("openai:")
        if node.stage == "distill" and "teacher" not in node.inputs and not served:
            command = as_command(study, f"teacher={teacher}")
            yield Lack(f"node {node.name!r} has no teacher", None, command)
        for needed in _packages(node):
            packages.setdefault(needed, []).append(node.name)
    for (package, extra), nodes in packages.items():
        if find_spec(package) is None:
            yield Lack(
                f"the package {package} is not installed, which {nodes[0]} needs",
                None,
                f"pip install 'seemant[{extra}]' (in a checkout: make setup)",
            )


def _packages(node: Node) -> Iterator[tuple[str, str]]:
    """Yield the packages beyond the plain installation that a node needs, with their extra."""
    settings = node.config.model_dump()
    if node.stage in ("probe", "bench") and settings.get("backend", "llamacpp") == "llamacpp":
        yield "xllamacpp", "llamacpp"
    if node.stage == "distill" and "teacher" in node.inputs:
        yield "xllamacpp", "llamacpp"
    if settings.get("base") == "nf4":
        yield "bitsandbytes", "nf4"
