"""From folders as users have them to the inputs of a frontier: of a study, a store, an artefact."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json
from seemant.core.manifest import MANIFEST_NAME, load_manifest
from seemant.core.stage import Input, file_input
from seemant.study.folder import STATE_NAME

ROLES = {
    "probe": "probe/",
    "divergence": "divergence/",
    "compress": "variant/",
    "qat": "variant/",
    "bench": "bench/",
}
_DEPTHS = ("*", "*/*", "*/*/*")  # a folder of artefacts, a store, a folder with a store


def gather(folders: Sequence[Path]) -> dict[str, Input]:
    """Return the inputs of a frontier: every probe, variant, divergence and bench in the folders.

    A folder is a study's, an artefact's, or one that holds artefacts. One artefact that is found
    twice counts once.

    Raises:
        BadFile: a folder is not there, or nothing in them was measured.
    """
    inputs: dict[str, Input] = {}
    seen: set[Path] = set()
    for name, stage, path in (each for folder in folders for each in artefacts_in(folder)):
        role = ROLES.get(stage)
        if role is None or path.resolve() in seen:
            continue
        seen.add(path.resolve())
        key = f"{role}{name}"
        inputs[key if key not in inputs else f"{role}{path}"] = file_input(path, name)
    if not any(role.startswith("probe/") for role in inputs):
        places = ", ".join(map(str, folders)) or "no folder"
        found = f"{len(inputs)} artefacts, none of them a probe" if inputs else "no artefact"
        raise BadFile(
            f"nothing to compare: {found}",
            where=places,
            fix="name a study's folder (runs/quick), or folders of what probe, compress and bench "
            "made; seemant probe MODEL --out DIR makes the first",
        )
    return inputs


def artefacts_in(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield name, stage and place of the finished artefacts in a folder, those of a study by node.

    Raises:
        BadFile: the folder is not there.
    """
    if (folder / STATE_NAME).is_file():
        for name, node in read_json(folder / STATE_NAME)["nodes"].items():
            yield name, node["stage"], folder / node["artefact"]
        return
    if (folder / MANIFEST_NAME).is_file():
        yield folder.resolve().name, load_manifest(folder).stage, folder
        return
    if not folder.is_dir():
        raise BadFile("no such folder", where=str(folder), fix="check the path")
    for depth in _DEPTHS:
        found = sorted(folder.glob(f"{depth}/{MANIFEST_NAME}"))
        for path in found:
            if "nodes" not in path.parent.parts:  # links of a study into its store
                yield path.parent.name, load_manifest(path.parent).stage, path.parent
        if found:
            return
