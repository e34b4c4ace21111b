"""A limit holds a process that takes too much, says how, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seemant.core.errors import InputError, WorldError
from seemant.core.jsonl import read_json, write_json
from seemant.train.memory import cgroup, cgroup_records
from seemant.train.memory.cgroup import Account, Group, make_group, parents
from seemant.train.memory.limit import Limit, Way, best_way, limit_of
from seemant.train.memory.watcher import Watcher

LIMIT = 120_000_000
# Takes 300 MB in pieces of 1 MB, once it is told to go on.
GREEDY = """
import sys, time
print("ready", flush=True); sys.stdin.readline()
held = []
for _ in range(300):
    held.append(bytearray(b"x") * 1_000_000)
    time.sleep(0.004)
"""
MODEST = GREEDY.replace("range(300)", "range(20)")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run_under(limit: Limit, code: str) -> tuple[int, Watcher, str]:
    process = subprocess.Popen(
        limit.command([sys.executable, "-c", code]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        process.stdout.readline()
        limit.hold(process.pid)
        watcher = Watcher(process.pid, limit.watched_bytes, period_s=0.01, also=limit.look)
        process.stdin.write(b"go\n")
        process.stdin.flush()
        code_ = process.wait(30)
        watcher.close()
        return code_, watcher, process.stderr.read().decode()
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def real_group_way() -> Way:
    for way in ("systemd scope", "cgroup v2", "cgroup v1"):
        try:
            with limit_of(LIMIT, (way,)):
                return way
        except InputError:
            continue
    pytest.skip("no memory cgroup can be made here: not delegated, or the system has none")


def groups_left() -> list[Path]:
    found = []
    for version in (1, 2):
        for _, parent in parents(version):
            found += list(parent.glob(f"{cgroup.PREFIX}{os.getpid()}-*"))
    return found


def test_a_cgroup_kills_what_takes_too_much_and_leaves_no_group_behind() -> None:
    with limit_of(LIMIT, (real_group_way(),)) as limit:
        assert limit.enforced
        code, watcher, _ = run_under(limit, GREEDY)
        account = limit.account()
    assert code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert watcher.peak_anon < LIMIT * 1.2
    assert not watcher.asked and not watcher.killed  # the kernel did it
    if limit.group is not None:
        assert account is not None and account.oom_kills == 1
        assert account.peak_bytes is not None and 0.9 * LIMIT < account.peak_bytes <= LIMIT
    assert groups_left() == []


def test_a_cgroup_lets_a_modest_process_live_and_counts_what_it_took() -> None:
    with limit_of(LIMIT, (real_group_way(),)) as limit:
        code, _, _ = run_under(limit, MODEST)
        account = limit.account()
    assert code == 0
    if limit.group is not None:
        assert account is not None and account.oom_kills == 0
        assert account.peak_bytes is not None and 20e6 < account.peak_bytes < LIMIT
    assert groups_left() == []


def test_the_group_goes_when_the_block_fails_and_ends_what_still_runs_in_it() -> None:
    way = real_group_way()
    if way == "systemd scope":
        pytest.skip("a scope is systemd's to end")
    sleeper = None
    with pytest.raises(KeyError), limit_of(LIMIT, (way,)) as limit:
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        limit.hold(sleeper.pid)
        raise KeyError
    assert sleeper is not None and sleeper.wait(10) == -signal.SIGKILL
    assert groups_left() == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA as Linux counts it")
def test_rlimit_data_refuses_the_allocation_and_the_process_may_say_so() -> None:
    with limit_of(LIMIT, ("rlimit data",)) as limit:
        assert limit.enforced
        code, watcher, said = run_under(limit, GREEDY)
    assert code == 1 and "MemoryError" in said
    assert watcher.peak_anon <= LIMIT
    assert limit.account() is None


def test_rlimit_data_does_not_count_a_file_mapped_for_reading(tmp_path: Path) -> None:
    big = tmp_path / "weights"
    big.write_bytes(b"\1" * 2 * LIMIT)
    code = f"""
import mmap, sys
print("ready", flush=True); sys.stdin.readline()
with open({str(big)!r}, "rb") as file:
    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    print(sum(held[i] for i in range(0, len(held), 4096)))
"""
    with limit_of(LIMIT, ("rlimit data",)) as limit:
        ended, watcher, said = run_under(limit, code)
    assert ended == 0, said
    assert watcher.peak_anon < LIMIT


def test_a_watcher_is_never_called_enforced_and_kills_above_the_limit() -> None:
    with limit_of(LIMIT, ("watcher",)) as limit:
        assert not limit.enforced
        ignoring = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{GREEDY}"
        code, watcher, _ = run_under(limit, ignoring)
    assert code == -signal.SIGKILL
    assert watcher.killed
    assert LIMIT < watcher.peak_anon < 1.3 * LIMIT


def test_a_watcher_asks_for_a_clean_stop_before_the_limit() -> None:
    polite = f"""
import signal, sys
def stop(*_):
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
{GREEDY.replace("0.004", "0.02")}"""
    with limit_of(LIMIT, ("watcher",)) as limit:
        code, watcher, _ = run_under(limit, polite)
    assert code == 75
    assert watcher.asked and not watcher.killed


def test_where_nothing_works_it_says_each_way_and_why() -> None:
    if sys.platform.startswith("linux"):
        with (
            pytest.raises(InputError, match="no memory limit can be held here"),
            limit_of(LIMIT, ()),
        ):
            pass
    assert best_way() in ("systemd scope", "cgroup v2", "cgroup v1", "rlimit data", "watcher")


def test_a_group_that_another_made_is_not_touched(tmp_path: Path) -> None:
    theirs = tmp_path / "user.slice"
    theirs.mkdir()
    with pytest.raises(WorldError, match="did not make"):
        Group(theirs, 1, theirs.stat().st_ino).remove()
    ours_by_name = tmp_path / f"{cgroup.PREFIX}1-abcd"
    ours_by_name.mkdir()
    with pytest.raises(WorldError, match="did not make"):
        Group(ours_by_name, 1, ours_by_name.stat().st_ino + 1).remove()
    assert theirs.is_dir() and ours_by_name.is_dir()


def test_what_a_killed_run_left_is_swept_and_the_group_of_a_living_one_is_not(
    tmp_path: Path, cache: Path
) -> None:
    left, living = tmp_path / f"{cgroup.PREFIX}9-dead", tmp_path / f"{cgroup.PREFIX}9-live"
    for path in (left, living):
        path.mkdir()
        cgroup_records.remember(Group(path, 1, path.stat().st_ino))
    record = cache / "cgroups" / f"{left.name}.json"
    write_json(record, read_json(record) | {"started": "1"})  # its maker's number is another's now
    (cache / "cgroups" / "torn.json").write_text("{")
    assert cgroup_records.sweep() == [left]
    assert not left.exists() and living.is_dir()
    assert not record.exists()


class Fake:
    """A hierarchy of plain files, as the kernel would show it."""

    def __init__(self, root: Path, *, cgroup: str, mountinfo: str) -> None:
        self.proc = root / "proc"
        self.mount = root / "fs"
        self.proc.mkdir()
        self.mount.mkdir()
        (self.proc / "cgroup").write_text(cgroup)
        (self.proc / "mountinfo").write_text(mountinfo.format(mount=self.mount))

    def group(self, path: str, **files: str) -> Path:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return folder


@pytest.fixture
def v2(tmp_path: Path) -> Iterator[Fake]:
    yield Fake(
        tmp_path,
        cgroup="0::/user.slice/app.slice/shell.scope\n",
        mountinfo="31 23 0:28 / {mount} rw - cgroup2 cgroup2 rw\n",
    )


def test_version_2_makes_the_group_under_the_nearest_ancestor_that_hands_memory_down(
    v2: Fake,
) -> None:
    v2.group("user.slice", cgroup__subtree_control="cpu memory", memory__max="max")
    app = v2.group("user.slice/app.slice", cgroup__subtree_control="memory", memory__max="max")
    v2.group("user.slice/app.slice/shell.scope", cgroup__subtree_control="", memory__max="max")
    (v2.mount / "cgroup.subtree_control").write_text("cpu")
    found = [path for _, path in parents(2, v2.proc)]
    assert found == [app, v2.mount / "user.slice"]
    group = make_group(LIMIT, iter([(2, app)]))
    assert group.path.parent == app
    assert (group.path / "memory.max").read_text() == str(LIMIT)


def test_version_2_does_not_leave_a_group_that_has_a_limit_of_its_own(v2: Fake) -> None:
    v2.group("user.slice", cgroup__subtree_control="memory", memory__max="max")
    v2.group("user.slice/app.slice", cgroup__subtree_control="memory", memory__max="max")
    v2.group("user.slice/app.slice/shell.scope", cgroup__subtree_control="", memory__max="1000")
    assert list(parents(2, v2.proc)) == []


def test_version_2_reads_peak_and_kills(tmp_path: Path) -> None:
    folder = tmp_path / f"{cgroup.PREFIX}1-x"
    folder.mkdir()
    (folder / "memory.peak").write_text("119996416\n")
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 41\noom 1\noom_kill 1\n")
    assert Group(folder, 2, 0).account() == Account(119996416, 41, 1)


def test_version_1_nests_under_its_own_group_as_a_container_sees_it(tmp_path: Path) -> None:
    fake = Fake(
        tmp_path,
        cgroup="5:cpu:/docker/abc\n4:memory:/docker/abc/inner\n0::/\n",
        mountinfo="35 31 0:32 /docker/abc {mount} rw - cgroup cgroup rw,memory\n",
    )
    inner = fake.group("inner")
    assert list(parents(1, fake.proc)) == [(1, inner)]
    assert list(parents(2, fake.proc)) == []


def test_a_limit_that_the_kernel_refuses_leaves_no_group(tmp_path: Path) -> None:
    parent = tmp_path / "fs"
    parent.mkdir()

    def refuse(group: Group, limit_bytes: int) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cgroup, "_limit", refuse)
        with pytest.raises(PermissionError):
            make_group(LIMIT, iter([(2, parent)]))
    assert list(parent.iterdir()) == []
