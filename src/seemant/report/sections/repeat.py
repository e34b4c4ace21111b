"""How to repeat the study: commands, parameters, seeds, libraries, the machine."""

import shlex
from collections.abc import Sequence

from seemant.report.config import ReportConfig
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node


def repeat(nodes: Sequence[Node], config: ReportConfig) -> Html:
    """Return the commands and what else the numbers depend on."""
    sets = [part for param in config.params for part in ("--set", param)]
    commands = config.commands or (
        f"seemant study plan {config.study}",
        shlex.join(["seemant", "study", "run", config.study, *sets]),
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
            el("dl", *entries, class_="facts"),
        ]
    )


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
