"""The journal keeps every appended entry, through kill -9 and a full disk."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import BadFile, DiskFull
from seemant.core.journal import Journal

ENTRIES = st.lists(st.dictionaries(st.text(max_size=4), st.integers() | st.text(), max_size=3))


@given(entries=ENTRIES, cut=st.integers(0, 200))
def test_a_torn_last_line_is_cut_and_the_rest_survives(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with Journal(path) as journal:
        for entry in entries:
            journal.append(entry)
    content = path.read_bytes()
    kept = content[: max(0, len(content) - cut)]
    path.write_bytes(kept)
    n_whole = kept.count(b"\n")
    with Journal(path) as journal:
        assert journal.entries == entries[:n_whole]
        journal.append({"after": 1})
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [
        *entries[:n_whole],
        {"after": 1},
    ]


def test_a_damaged_line_inside_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"a":1}\nrubbish\n{"a":2}\n')
    with pytest.raises(BadFile) as caught:
        Journal(path)
    assert caught.value.where == f"{path}:2"


def test_what_was_appended_before_kill_9_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from seemant.core.journal import Journal
        journal = Journal(Path({str(path)!r}))
        n = 0
        while True:
            journal.append({{"n": n, "text": "x" * 500}})
            print(n, flush=True)
            n += 1
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = [int(line) for line in process.stdout.read().split() if line.isdigit()]
    process.wait()
    process.stdout.close()
    with Journal(path) as journal:
        numbers = [entry["n"] for entry in journal.entries]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > max(acknowledged)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_keeps_whole_entries_and_the_journal_goes_on(tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("no permission to mount a tmpfs here")
    try:
        path = mount / "journal.jsonl"
        journal = Journal(path)
        n_written = 0
        with pytest.raises(DiskFull):
            for _ in range(100):
                journal.append({"text": "y" * 3000})
                n_written += 1
        assert 0 < n_written < 100
        (mount / "journal.jsonl").open("a").close()
        journal.append({"small": 1})  # there is room for this one
        journal.close()
        with Journal(path) as again:
            assert len(again.entries) == n_written + 1
            assert again.entries[-1] == {"small": 1}
    finally:
        subprocess.run(["umount", str(mount)], check=True)
