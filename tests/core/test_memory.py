"""The memory that a control group allows, as both versions of cgroups write it."""

from pathlib import Path

import pytest

from seemant.core.memory import allowed_bytes

V1_NONE = "9223372036854771712"


def system(root: Path, membership: str, files: dict[str, str]) -> Path:
    for place, content in {"proc/self/cgroup": membership, **files}.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(content + "\n")
    return root


V1, V2 = "9:cpu:/\n4:memory:/a/b\n0::/", "0::/a/b"
M1, M2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("membership", "files", "allowed"),
    [
        (V2, {f"{M2}/a/b/memory.max": "2000"}, 2000),
        (V2, {f"{M2}/a/b/memory.max": "max", f"{M2}/a/memory.max": "1000"}, 1000),
        (V2, {f"{M2}/a/b/memory.max": "2000", f"{M2}/a/memory.max": "1000"}, 1000),
        (V2, {f"{M2}/memory.max": "3000"}, 3000),  # a container: its own path leads nowhere
        (V2, {f"{M2}/a/b/memory.max": "max"}, None),
        (V2, {}, None),
        (V1, {f"{M1}/a/b/memory.limit_in_bytes": "4000"}, 4000),
        (V1, {f"{M1}/a/b/memory.limit_in_bytes": V1_NONE}, None),
        (V1, {f"{M1}/memory.limit_in_bytes": "5000"}, 5000),
        ("4:cpu,memory:/", {f"{M1}/memory.limit_in_bytes": "5000"}, 5000),
        ("0::/../other", {f"{M2}/memory.max": "3000"}, 3000),
    ],
)
def test_the_least_limit_of_the_group_and_those_above_it_counts(
    membership: str, files: dict[str, str], allowed: int | None, tmp_path: Path
) -> None:
    assert allowed_bytes(system(tmp_path, membership, files)) == allowed


def test_a_system_without_groups_allows_all(tmp_path: Path) -> None:
    assert allowed_bytes(tmp_path) is None
