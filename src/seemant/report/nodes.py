"""The nodes of a study as the report sees them: an artefact each, and who was made from whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from seemant.core.errors import SeemantError
from seemant.core.jsonl import read_json
from seemant.core.manifest import Manifest, load_manifest
from seemant.core.records import Record
from seemant.core.stage import Inputs

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its name in the study, its folder, its manifest, and the nodes that it needed."""

    name: str
    path: Path
    manifest: Manifest
    needs: tuple[tuple[str, str], ...]
    """Pairs (role, node name)."""

    @property
    def stage(self) -> str:
        """The word of the stage that made it."""
        return self.manifest.stage

    def source(self, role: str) -> str | None:
        """Return the node that filled a role, None where it was no node."""
        return next((name for given, name in self.needs if given == role), None)

    def label(self, role: str) -> str | None:
        """Return what the user called the input of a role, None where it had none."""
        entry = self.manifest.inputs.get(role)
        return entry.label if entry else None


def read_nodes(inputs: Inputs) -> list[Node]:
    """Return all nodes, each behind those that it needs.

    An input is known to be a node by its content's hash; where several nodes hold the same
    content, by the name as well.
    """
    manifests = {role.partition("/")[2]: load_manifest(i.path) for role, i in inputs.items()}
    paths = {role.partition("/")[2]: i.path for role, i in inputs.items()}
    holders: dict[str, list[str]] = {}
    for name, manifest in manifests.items():
        holders.setdefault(manifest.content_sha256, []).append(name)
    nodes = {}
    for name, manifest in manifests.items():
        needs = []
        for role, entry in manifest.inputs.items():
            able = [other for other in holders.get(entry.sha256, []) if other != name]
            if able:
                needs.append((role, entry.label if entry.label in able else able[0]))
        nodes[name] = Node(name, paths[name], manifest, tuple(needs))
    return _in_order(nodes)


def of_stage(nodes: Sequence[Node], *stages: str) -> list[Node]:
    """Return the nodes of some stages."""
    return [node for node in nodes if node.stage in stages]


def named(nodes: Sequence[Node], name: str | None) -> Node | None:
    """Return the node of that name, None where there is none."""
    return next((node for node in nodes if node.name == name), None)


def json_of(node: Node, file: str) -> Any:
    """Return a JSON file of an artefact, None where it has none or it is damaged."""
    try:
        return read_json(node.path / file)
    except SeemantError:
        return None


def lines_of(node: Node, file: str, kind: type[R]) -> list[R]:
    """Return the readable records of a file of an artefact; none where it has no such file.

    The page shows what there is: a line that another version wrote differently is left out.
    """
    path = node.path / file
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(kind.model_validate_json(line))
        except ValidationError:
            continue
    return found


def _in_order(nodes: dict[str, Node]) -> list[Node]:
    done: dict[str, Node] = {}
    waiting = dict(sorted(nodes.items()))
    while waiting:
        ready = [n for n in waiting.values() if all(need in done for _, need in n.needs)]
        for node in ready or list(waiting.values()):  # a circle cannot be, but must not hang us
            done[node.name] = waiting.pop(node.name)
    return list(done.values())
