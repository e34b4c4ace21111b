"""A room imports only rooms above it. The list is the architecture: changing it is a decision."""

import ast
from pathlib import Path

import pytest

ROOMS = [
    "core",
    "stats",
    "formats",
    "models",
    "corpus",
    "probe",
    "distill",
    "train",
    "compress",
    "export",
    "serve",
    "bench",
    "frontier",
    "diffusion",
    "report",
    "study",
    "ui",
    "cli",
]
SOURCE = Path(__file__).parents[1] / "src" / "seemant"
HEAVY = {"torch", "transformers", "peft", "xllamacpp", "polars", "plotly"}


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def rooms_imported(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported(path)]
    return {p[1] for p in parts if p[0] == "seemant" and len(p) > 1}


@pytest.mark.parametrize("room", [r for r in ROOMS if (SOURCE / r).is_dir()])
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in (SOURCE / room).rglob("*.py"):
        wrong = rooms_imported(path) - allowed
        assert not wrong, f"{path.relative_to(SOURCE)} imports {', '.join(sorted(wrong))}"


def test_every_folder_is_a_room_of_the_list() -> None:
    folders = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders <= set(ROOMS)


def files_imported(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of ours that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            found |= {name for name in names if known.get(name, path) != path}
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    known = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts): path
        for path in SOURCE.rglob("*.py")
        if path.name != "__init__.py"
    }
    left = {name: files_imported(path, known) for name, path in known.items()}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    in_circles = {name for name in left if any(name in needs for needs in left.values())}
    assert not in_circles, f"circles among {', '.join(sorted(in_circles))}"


def test_core_never_imports_torch() -> None:
    for path in (SOURCE / "core").rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"torch", "transformers"}


def test_stats_need_no_scipy_which_a_memory_limited_worker_does_without() -> None:
    for path in (SOURCE / "stats").rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"torch", "scipy"}, path


@pytest.mark.parametrize("name", ["config.py", "run.py"])
def test_configs_and_stages_import_nothing_heavy_at_module_level(name: str) -> None:
    for path in SOURCE.rglob(f"*{name}"):
        top = ast.parse(path.read_text(encoding="utf-8")).body
        heads = set()
        for node in top:
            if isinstance(node, ast.Import):
                heads |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                heads.add(node.module.split(".")[0])
        assert not heads & HEAVY, f"{path.relative_to(SOURCE)} imports {heads & HEAVY}"


def test_no_source_file_is_over_400_lines() -> None:
    for path in SOURCE.rglob("*.py"):
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        assert n_lines <= 400, f"{path.relative_to(SOURCE)} has {n_lines} lines"


def test_nothing_unpickles_or_runs_remote_code() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not {"pickle", "dill", "joblib", "cloudpickle"} & imported(path), path
        assert "trust_remote_code=True" not in text, path
        assert "shell=True" not in text, path
        assert "torch.load(" not in text, path
