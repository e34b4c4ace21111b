"""How to repeat the study: commands, parameters, seeds, libraries, the machine."""

import shlex
from collections.abc import Sequence

from seemant.report.config import ReportConfig
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node
from seemant.report.tables import Cell, Row, table


def repeat(nodes: Sequence[Node], config: ReportConfig) -> Html:
    """Return the commands and what else the numbers depend on."""
    sets = [part for param in config.params for part in ("--set", param)]
    commands = config.commands or (
        shlex.join(["seemant", "study", "plan", config.spec or config.study, *sets]),
        shlex.join(["seemant", "study", "run", config.spec or config.study, *sets]),
    )
    seeds = sorted({f"{k}={v}" for n in nodes for k, v in n.manifest.seeds.items()})
    revisions = sorted({n.manifest.git for n in nodes if n.manifest.git})
    machines = list(dict.fromkeys(_machine(node) for node in nodes))
    packages = _packages(nodes)
    facts = [
        ("Seeds", ", ".join(seeds) or "none"),
        ("Code", ", ".join(revisions) or "not under version control"),
        ("Machine", "; ".join(machines)),
        ("Libraries", packages),
    ]
    entries = [part for name, told in facts for part in (el("dt", name), el("dd", told))]
    note = (
        "The same seeds give the same files and the same time-free measurements on the same "
        "libraries; speeds and times differ from run to run. A second run reuses what is there."
    )
    return join(
        [
            el("pre", el("code", "\n".join(commands))),
            el("p", note, class_="note"),
            _files(nodes, config),
            el("dl", *entries, class_="facts"),
        ]
    )


def _files(nodes: Sequence[Node], config: ReportConfig) -> Html | None:
    """Return the study's file and everything that came from outside, with their hashes."""
    rows = [[config.spec, "the study's file", config.spec_sha256]] if config.spec_sha256 else []
    for node in nodes:
        inside = {role for role, _ in node.needs}
        for role, entry in node.manifest.inputs.items():
            if role not in inside:
                rows.append([entry.label, role.partition("/")[0], entry.sha256])
    if not rows:
        return None
    once = list(dict.fromkeys(map(tuple, rows)))
    body: list[Row] = [
        [Cell(el("code", name), "path"), use, Cell(el("code", sha256), "hash")]
        for name, use, sha256 in once
    ]
    head: Row = ["file or model", "used as", "sha256"]
    return table([head], body, caption="what the study was made from", look="files")


def _machine(node: Node) -> str:
    h = node.manifest.hardware
    gpus = ", ".join(h.get("gpus") or []) or "no GPU"
    return (
        f"{h.get('cpu', 'unknown')}, {h.get('cores', '?')} cores, "
        f"{h.get('memory_gb', '?')} GB, {gpus}, {h.get('system', '')}"
    )


def _packages(nodes: Sequence[Node]) -> str:
    versions: dict[str, list[str]] = {}
    for node in nodes:
        for name, version in node.manifest.packages.items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    return ", ".join(f"{name} {' / '.join(known)}" for name, known in versions.items())
