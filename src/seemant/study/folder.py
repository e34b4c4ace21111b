"""The folder of a study, `runs/STUDY/`: its plan, its log, links to its nodes, its report."""

import errno
import os
import shutil
from pathlib import Path

from seemant.core.jsonl import write_json
from seemant.study.graph import needs
from seemant.study.spec import Study

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
STATE_NAME = "study.json"


def study_folder(store: Path, study: Study) -> Path:
    """Return the study's folder, made if it is not there."""
    folder = store / study.name
    (folder / "nodes").mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    return folder


def link_node(folder: Path, name: str, artefact: Path) -> None:
    """Point `nodes/NAME` at the artefact that answers the node, for people: see `write_state`.

    Nothing is pointed at where the filesystem has no links (exFAT, SMB).
    """
    link = folder / "nodes" / name
    temporary = link.with_name(f".{name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(os.path.relpath(artefact.resolve(), link.parent.resolve()))
    except OSError as error:
        if error.errno in _NO_LINKS:
            return
        raise
    temporary.replace(link)


def write_state(folder: Path, study: Study, nodes: dict[str, Path]) -> None:
    """Write which artefact answers each node of the study as it now stands."""
    state = {
        "study": study.name,
        "title": study.title,
        "source": study.source,
        "set": list(study.sets),
        "params": study.params,
        "nodes": {
            name: {
                "stage": study.nodes[name].stage,
                "needs": needs(study, name),
                "artefact": os.path.relpath(path, folder),
            }
            for name, path in nodes.items()
        },
    }
    write_json(folder / STATE_NAME, state)


def publish_report(folder: Path, artefact: Path) -> Path | None:
    """Copy the report to the study's folder and return its place there."""
    page = artefact / "report.html"
    if not page.is_file():
        return None
    target = folder / "report.html"
    temporary = folder / ".report.html.tmp"
    shutil.copyfile(page, temporary)
    temporary.replace(target)
    return target
